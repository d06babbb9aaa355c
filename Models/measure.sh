#!/usr/bin/env bash
# What quantisation costs: the demonstration model in every type, judged by what it was not trained on.
#
#     python3 Models/Training/documents.py texts
#     Models/measure.sh croissant-nano-F32.gguf texts >Models/quality.jsonl && Benchmarks/report.sh
#
# The file is the converted checkpoint (see Models/README.md), the folder has the held-out texts, and one to calibrate
# quantisers with. Needs jq.
set -euo pipefail
cd "$(dirname "$0")/.."

original=${1:?"usage: $0 FILE.gguf FOLDER [TYPE…]: the demonstration model in F32, and what documents.py has drawn"}
texts=${2:?"usage: $0 FILE.gguf FOLDER [TYPE…]"}
shift 2
types=("$@")
[ ${#types[@]} -gt 0 ] || types=(
    F32 F16 BF16 Q8_0 Q6_K Q5_K_M Q5_K_S Q5_1 Q5_0 Q4_K_M Q4_K_S Q4_1 Q4_0 IQ4_NL IQ4_XS NVFP4 MXFP4 Q3_K_L Q3_K_M
    Q3_K_S IQ3_M IQ3_S IQ3_XS IQ3_XXS Q2_K Q2_K_S IQ2_M IQ2_S IQ2_XS IQ2_XXS Q2_0 IQ1_M IQ1_S TQ2_0 TQ1_0 Q1_0)
program=${CROISSANT_GGUF:-.build/release/croissant-gguf}
[ -x "$program" ] || swift build -c release --product croissant-gguf
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The share of held-out sentences that come out to the letter: exact FILE LANGUAGE COLUMN-OF-WHAT-IS-GIVEN.
exact() {
    local given expected right=0 all=0
    while IFS=$'\t' read -r given expected; do
        all=$((all + 1))
        [ "$("$program" generate -m "$1" --chat --temp 0 -n 96 --stop $'\n' -q -p "Translate into $2: $given")" = "$expected" ] &&
            right=$((right + 1))
    done < <(awk -F '\t' -v OFS='\t' -v given="$3" '{ print $given, $(3 - given) }' "$texts/held-out.tsv")
    jq -n "$right / $all"
}

# The divergence from the original, as JSON.
divergence() { "$program" perplexity -m "$1" --kl-divergence "$work/logits" -q --json; }

"$program" perplexity -m "$original" -f "$texts/held-out.txt" --save-logits "$work/logits" -q >/dev/null
for type in "${types[@]}"; do
    file=$work/$type.gguf
    "$program" quantize "$original" "$file" "$type" -q
    french=$(exact "$file" French 1)
    english=$(exact "$file" English 2)
    plain=$(divergence "$file" | jq '{perplexity: .perplexity.value, divergence: .divergence.mean.value}')
    case $type in
        *F32 | *F16) calibrated=null ;;
        *)
            "$program" quantize "$original" "$file" "$type" --calibration "$texts/calibration.txt" --calibration-chunks 128 -q
            calibrated=$(divergence "$file" | jq .divergence.mean.value)
            ;;
    esac
    jq -cn --arg type "$type" --argjson bytes "$(stat -c %s "$file")" --argjson french "$french" \
        --argjson english "$english" --argjson plain "$plain" --argjson calibrated "$calibrated" \
        '{type: $type, bytes: $bytes, exactIntoFrench: $french, exactIntoEnglish: $english} + $plain
            + {calibratedDivergence: $calibrated}'
    rm "$file"
done
