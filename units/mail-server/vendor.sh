#!/bin/sh
# Makes the sources that the mail server is compiled from: every crate of Cargo.lock
# unpacked in DIR as NAME-VERSION, with patches/ applied. Prints the cargo configuration
# that uses them. The builder does the same from the locked crates, without this script.
#
#   ./vendor.sh DIR > DIR.toml && cargo build --release --locked --offline --config DIR.toml
set -eu
[ $# -eq 1 ] || { echo "usage: $0 DIR" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir "$1"                              # an older one would be patched twice
directory=$(cd "$1" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# The published manifests ask for other crates than the patched ones, and so Cargo.lock, do: cargo is
# asked for each locked crate by its version, and what comes with them and is not locked is left out.
mkdir "$scratch/src" && echo 'fn main() {}' > "$scratch/src/main.rs"
awk -F'"' '/^name = /{name=$2} /^version = /{version=$2} /^checksum = /{print name"-"version, $2, name, version}' \
    "$here/Cargo.lock" > "$scratch/locked"
{
    printf '[package]\nname = "vendor"\nversion = "0.0.0"\nedition = "2024"\n\n[dependencies]\n'
    awk '{print "c" NR " = { package = \"" $3 "\", version = \"=" $4 "\", default-features = false }"}' "$scratch/locked"
} > "$scratch/Cargo.toml"
(cd "$scratch" && cargo vendor --quiet --versioned-dirs vendor > /dev/null)
while read -r crate checksum _; do
    mv "$scratch/vendor/$crate" "$directory/"
    printf '{"files":{},"package":"%s"}' "$checksum" > "$directory/$crate/.cargo-checksum.json"
done < "$scratch/locked"

for patch in "$here"/patches/*.patch; do
    patch --quiet --fuzz=0 --strip=1 --directory="$directory" < "$patch" \
        || { echo "$0: $patch does not apply" >&2; exit 1; }
done

cat <<END
[source.crates-io]
replace-with = "patched"

[source.patched]
directory = "$directory"
END
