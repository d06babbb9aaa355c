#!/usr/bin/env bash
# Measures every published type of the CroissantLLM shape on this machine, and keeps the results.
#
#     Benchmarks/results.sh NAME [TYPE...]
#
# Results go to Benchmarks/Results/NAME.jsonl: an object for each test of each type, in the order of the types. With
# types, only those are measured anew. Takes a minute a type on two cores, and 3 GB of disk; nothing else should run.
set -euo pipefail
cd "$(dirname "$0")/.."

[ $# -ge 1 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 64; }
name=$1
shift
published=(F16 Q8_0 Q6_K Q5_K_M Q5_K_S Q5_0 Q4_K_M Q4_K_S Q4_0 IQ4_XS Q3_K_L Q3_K_M Q3_K_S Q2_K)
measured=("$@")
[ $# -gt 0 ] || measured=("${published[@]}")

swift build -c release --product croissant-gguf
program=.build/release/croissant-gguf
results=Benchmarks/Results/$name.jsonl
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
touch "$results"
for type in "${measured[@]}"; do
    model=$work/croissant-$type.gguf
    "$program" synthesize "$model" --type "$type" -q
    # In a context of 2048, as a conversation has it.
    "$program" bench -m "$model" -c 2048 -p 512 -n 128 -r 5 -o jsonl -q > "$work/$type.jsonl"
    rm "$model"
    # No path of this machine belongs into a result.
    sed -i "s|\"file\":\"$work/|\"file\":\"|" "$work/$type.jsonl"
    echo "$type"
done
for type in "${published[@]}"; do
    if [ -f "$work/$type.jsonl" ]; then
        cat "$work/$type.jsonl"
    else
        grep "\"fileType\":\"$type\"" "$results" || true
    fi
done > "$work/all.jsonl"
cp "$work/all.jsonl" "$results"
Benchmarks/report.sh
