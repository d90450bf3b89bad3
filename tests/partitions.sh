# Reads partitions out of an image. Sourced by bash; the caller has set `mailkiln`, `image` and `work`.
# shellcheck shell=bash disable=SC2154

# partition LABEL: its first byte and its size.
partition() {
  "$mailkiln" --json inspect "$image" | /usr/bin/python3 -c '
import json, sys
print(*next((p["start"], p["size"]) for p in json.load(sys.stdin)["partitions"] if p["label"] == sys.argv[1]))' "$1"
}

# extract LABEL: writes the partition to WORK/LABEL.
extract() {
  local start size
  read -r start size < <(partition "$1")
  dd if="$image" of="$work/$1" bs=1M iflag=skip_bytes,count_bytes skip="$start" count="$size" status=none
}
