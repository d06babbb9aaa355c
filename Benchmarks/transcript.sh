#!/usr/bin/env bash
# What the first minutes look like: commands and what they print, for the README.
#
#     Benchmarks/transcript.sh >Benchmarks/Results/NAME.txt && Benchmarks/report.sh
#
# Takes a minute; nothing else should run. A seed makes the story the same each time, on the same kernels.
set -euo pipefail
cd "$(dirname "$0")/.."

swift build -c release --product croissant-gguf >&2
croissant-gguf() { .build/release/croissant-gguf "$@"; }
separator=
while read -r command; do
    printf '%s$ %s\n' "$separator" "$command"
    separator=$'\n'
    # Without the empty line that a table ends with.
    text=$(eval "$command" 2>&1)
    echo "$text"
done <<'EOF'
croissant-gguf demo --seed 5
croissant-gguf generate --chat --temp 0 -p "Traduis en anglais : Le hibou chante la nuit."
croissant-gguf bench -p 512 -n 128
EOF
