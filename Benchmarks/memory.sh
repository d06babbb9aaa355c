#!/usr/bin/env bash
# Compares what is planned with what a run takes at its peak: every published type of the CroissantLLM shape in contexts
# of 512 and 2048, with mapped and with resident weights.
#
#     Benchmarks/memory.sh [TYPE...]
#
# Fails where the two differ by more than 2% or 16 MiB, whichever is more. Takes 3 GB of disk, and jq.
set -euo pipefail
cd "$(dirname "$0")/.."

types=("$@")
[ $# -gt 0 ] || types=(F16 Q8_0 Q6_K Q5_K_M Q5_K_S Q5_0 Q4_K_M Q4_K_S Q4_0 IQ4_XS Q3_K_L Q3_K_M Q3_K_S Q2_K)

swift build -c release --product croissant-gguf >&2
program=.build/release/croissant-gguf
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for type in "${types[@]}"; do
    model=$work/croissant-$type.gguf
    "$program" synthesize "$model" --type "$type" -q
    for context in 512 2048; do
        for weights in mapped resident; do
            # A whole batch, whose buffers the plan counts.
            "$program" bench -m "$model" -c "$context" -p 512 -n 0 -r 1 \
                --weights "$weights" -o jsonl -q 2> /dev/null >> "$work/rows.jsonl"
        done
    done
    rm "$model"
done
jq -rs '
    def mib: . / 1048576 * 10 | round / 10;
    "| type | context | weights | planned, MiB | peak, MiB | peak - plan | |", "|:--|--:|:--|--:|--:|--:|--:|",
    (.[] | (.peakMemory - .plannedMemory) as $off
        | "| \(.fileType) | \(.contextLength) | \(.weights) | \(.plannedMemory | mib) | \(.peakMemory | mib) | \($off | mib) | \($off / .plannedMemory * 1000 | round / 10)% |"),
    (map(select(((.peakMemory - .plannedMemory) | fabs) > ([0.02 * .plannedMemory, 16777216] | max))) | length
        | "\(.) of them differ by more than 2% or 16 MiB")' "$work/rows.jsonl" | tee "$work/table"
grep -q '^0 of them' "$work/table"
