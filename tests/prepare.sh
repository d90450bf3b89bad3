# What ./demo and ./check share: missing programs installed, the builder built, the image built.
# Sourced by bash; the caller has set `root` to the checkout.
# shellcheck shell=bash disable=SC2154

cache=${MAILKILN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mailkiln}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}
mailkiln=$CARGO_TARGET_DIR/release/mailkiln

say() { printf '\n== %s\n' "$*"; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# need PROGRAM PACKAGE WHY: notes PACKAGE as missing when PROGRAM is not there: a name, two names `a|b` of one program, or a path.
missing=() reasons=() needed=()
need() {
  is_there "$1" && return
  missing+=("$2")
  reasons+=("  $2: $3")
  needed+=("$1 $2")
}
is_there() {
  local name
  local -a names
  if [[ $1 == /* ]]; then [ -e "$1" ]; return; fi
  IFS='|' read -r -a names <<<"$1"
  for name in "${names[@]}"; do PATH=$PATH:/usr/sbin:/sbin command -v "$name" >/dev/null && return; done
  return 1
}

# Installs what need() found missing. Asks only on a terminal, and never when there is nothing to install.
install_missing() {
  [ ${#missing[@]} -eq 0 ] && return
  say "These Debian packages are missing here and will be installed with apt-get:"
  printf '%s\n' "${reasons[@]}"
  command -v apt-get >/dev/null || die "apt-get is not here; install the programs above with your package manager, then run this again"
  local sudo=()
  [ "$(id -u)" -eq 0 ] || sudo=(sudo)
  if [ -t 0 ] && [ -t 1 ] && [ -z "${CI:-}" ]; then
    read -r -p "Install them now? [Y/n] " answer
    [[ ${answer:-y} == [Yy]* ]] || die "stopped; nothing was changed"
  fi
  local log each
  log=$(mktemp)
  echo "(details: $log)"
  install_packages "${missing[@]}" >"$log" 2>&1 || { tail -n 20 "$log"; die "apt-get failed; the whole output is in $log"; }
  for each in "${needed[@]}"; do
    is_there "${each% *}" || die "the package ${each##* } is installed and has no ${each% *}; install that program by hand"
  done
  missing=() reasons=() needed=()
}

# QEMU's packages come from bookworm's backports, since bookworm's qemu-system does not fit a newer qemu-utils; all others from
# the release itself: a backport may hold other programs (7zip of trixie has no 7zz).
install_packages() {
  local each release=() backports=()
  for each in "$@"; do
    if [[ $each == qemu-system-* || $each == qemu-utils ]]; then backports+=("$each"); else release+=("$each"); fi
  done
  local from=()
  "${sudo[@]}" apt-get update -q || return
  if [ ${#release[@]} -gt 0 ]; then
    DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -q -y --no-install-recommends "${release[@]}" || return
  fi
  [ ${#backports[@]} -gt 0 ] || return 0
  add_backports || return
  DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -q -y --no-install-recommends "${from[@]}" "${backports[@]}"
}

# Sets `from` on bookworm; the mirror of its backports is the machine's own.
add_backports() {
  grep -q '^VERSION_CODENAME=bookworm$' /etc/os-release || return 0
  local list=/etc/apt/sources.list.d/mailkiln-backports.list base
  if ! apt-cache policy | grep -q 'n=bookworm-backports'; then
    base=$(apt-get indextargets --format '$(REPO_URI)' 'Codename: bookworm' | head -n 1)
    [ -n "$base" ] || { echo "no bookworm mirror in the apt configuration"; return 1; }
    echo "deb $base bookworm-backports main" | "${sudo[@]}" tee "$list"
    "${sudo[@]}" apt-get update -q || return
  fi
  from=(-t bookworm-backports)
}

need_for_boots() {
  need qemu-system-x86_64 qemu-system-x86 "runs the appliance"
  need qemu-img qemu-utils "makes the appliance's disk"
  need /usr/share/OVMF/OVMF_CODE_4M.fd ovmf "the UEFI firmware that the appliance boots under"
}

# pebble is a certificate authority for tests, in Debian since trixie. Its program needs no newer library than bookworm's, so
# the package is fetched from the machine's own mirror by its digest, and unpacked beside what is cached.
need_pebble() {
  local name=pebble_2.6.0+ds1-1+b7_amd64.deb folder=$cache/pebble/2.6.0+ds1-1+b7 base got
  local wanted=94a4e1269abcad428d1276de74b984b123ac83e0313541951c41bdcb006147d3
  export PEBBLE=$folder/usr/bin/pebble CHALLTESTSRV=$folder/usr/bin/pebble-challtestsrv
  [ ! -x "$CHALLTESTSRV" ] || return 0
  if PATH=$PATH:/usr/sbin:/sbin command -v pebble >/dev/null && command -v pebble-challtestsrv >/dev/null; then
    PEBBLE=$(command -v pebble) CHALLTESTSRV=$(command -v pebble-challtestsrv)
    return 0
  fi
  [ "$(dpkg --print-architecture)" = amd64 ] || die "pebble is missing; install the package pebble of Debian 13"
  say "Fetching pebble, a certificate authority for tests"
  base=$(apt-get indextargets --format '$(REPO_URI)' 'Component: main' | grep -v security | head -n 1)
  [ -n "$base" ] || die "there is no mirror in the apt configuration; install pebble and pebble-challtestsrv by hand"
  mkdir -p "$folder.new"
  curl -fsSL --retry 3 -o "$folder.new/$name" "${base%/}/pool/main/p/pebble/$name" ||
    die "the mirror has no $name; install pebble and pebble-challtestsrv by hand"
  got=$(sha256sum "$folder.new/$name" | cut -d ' ' -f 1)
  [ "$got" = "$wanted" ] || die "$name has the digest $got, not $wanted"
  dpkg-deb -x "$folder.new/$name" "$folder.new"
  rm "$folder.new/$name"
  mv -T "$folder.new" "$folder"
}

# BIND takes signed updates in a test. It is unpacked, not installed: a package of a daemon would start it.
need_name_server() {
  local folder=$cache/bind9 package
  export NAMED=$folder/named
  [ ! -x "$NAMED" ] || return 0
  if NAMED=$(PATH=$PATH:/usr/sbin:/sbin command -v named); then return 0; fi
  NAMED=$folder/named
  say "Fetching BIND, which takes signed updates in a test"
  rm -rf "$folder.new"
  mkdir -p "$folder.new"
  (
    cd "$folder.new" || exit
    apt-get -q download bind9 bind9-libs >/dev/null 2>&1 || die "apt-get could not download bind9 and bind9-libs"
    for package in *.deb; do dpkg-deb -x "$package" .; done
    rm -- *.deb
    printf '#!/bin/sh\nLD_LIBRARY_PATH=%q exec %q "$@"\n' "$folder/usr/lib/$(uname -m)-linux-gnu" "$folder/usr/sbin/named" >named
    chmod +x named
  )
  rm -rf "$folder"
  mv -T "$folder.new" "$folder"
}

# Postfix's resolver of MTA-STS fetches policies as other mail servers do. Unpacked for the same reason.
need_sts_resolver() {
  local folder=$cache/mta-sts-resolver
  export MTA_STS_QUERY=$folder/mta-sts-query
  [ ! -x "$MTA_STS_QUERY" ] || return 0
  say "Fetching a resolver of MTA-STS"
  rm -rf "$folder.new"
  mkdir -p "$folder.new"
  (
    cd "$folder.new" || exit
    apt-get -q download postfix-mta-sts-resolver >/dev/null 2>&1 || die "apt-get could not download postfix-mta-sts-resolver"
    dpkg-deb -x *.deb .
    rm -- *.deb
    printf '#!/bin/sh\nPYTHONPATH=%q exec /usr/bin/python3 -m postfix_mta_sts_resolver "$@"\n' "$folder/usr/lib/python3/dist-packages" \
      >mta-sts-query
    chmod +x mta-sts-query
  )
  rm -rf "$folder"
  mv -T "$folder.new" "$folder"
}

build_builder() {
  command -v cargo >/dev/null || die "cargo is not here; install Rust 1.95 or newer from rustup.rs, then run this again"
  say "Building mailkiln"
  cargo build --manifest-path "$root/Cargo.toml" --release --locked -p mailkiln
}

# build_image OUT TARGET [ARGUMENTS...]: builds an image. When the mirror has dropped a locked package, makes a fresh
# lock in a temporary place and builds from that, loudly.
# The lock in use stands in OUT/mailkiln.lock then, for whoever builds the same image again.
build_image() {
  local out=$1 target=$2 status=0 log
  shift 2
  log=$(mktemp)
  "$mailkiln" build --target "$target" -o "$out" "$@" 2> >(tee "$log" >&2) || status=$?
  [ "$status" -eq 0 ] && return
  grep -q 'mirror-lost-package' "$log" || return "$status"
  say "WARNING: the mirror no longer has a package of mailkiln.lock. What follows is built from a FRESH lock:"
  echo "   its bytes are not those of the committed lock. To keep the fresh one: mailkiln lock --update"
  local fresh=$out/mailkiln.lock
  mkdir -p "$out"
  cp "$root/mailkiln.lock" "$fresh"
  "$mailkiln" lock --update --lock "$fresh" || return
  "$mailkiln" build --target "$target" -o "$out" --lock "$fresh" "$@"
}
