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

# need PROGRAM PACKAGE WHY: notes PACKAGE as missing when PROGRAM (a name, or a path) is not there.
missing=() reasons=()
need() {
  if [[ $1 == /* ]]; then [ -e "$1" ] && return; else PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null && return; fi
  missing+=("$2")
  reasons+=("  $2: $3")
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
  local log
  log=$(mktemp)
  echo "(details: $log)"
  {
    "${sudo[@]}" apt-get update -q &&
      add_backports "${sudo[@]}" &&
      DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -q -y --no-install-recommends "${from[@]}" "${missing[@]}"
  } >"$log" 2>&1 || { tail -n 20 "$log"; die "apt-get failed; the whole output is in $log"; }
  missing=() reasons=()
}

# bookworm's qemu-system does not fit a newer qemu-utils; its backports do. The mirror is the machine's own.
from=()
add_backports() {
  [[ " ${missing[*]}" == *" qemu-system-"* ]] || return 0
  grep -q '^VERSION_CODENAME=bookworm$' /etc/os-release || return 0
  local list=/etc/apt/sources.list.d/mailkiln-backports.list base
  if ! apt-cache policy | grep -q 'n=bookworm-backports'; then
    base=$(apt-get indextargets --format '$(REPO_URI)' 'Codename: bookworm' | head -n 1)
    [ -n "$base" ] || { echo "no bookworm mirror in the apt configuration"; return 1; }
    echo "deb $base bookworm-backports main" | "$@" tee "$list"
    "$@" apt-get update -q
  fi
  from=(-t bookworm-backports)
}

need_for_boots() {
  need qemu-system-x86_64 qemu-system-x86 "runs the appliance"
  need qemu-img qemu-utils "makes the appliance's disk"
  need /usr/share/OVMF/OVMF_CODE_4M.fd ovmf "the UEFI firmware that the appliance boots under"
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
