#!/usr/bin/env bash
# Makes the README's tables and pictures of the results that are kept, or checks that they are in step.
#
#     Benchmarks/report.sh [--check]
set -euo pipefail
shopt -s nullglob
cd "$(dirname "$0")/.."

program=${CROISSANT_GGUF:-.build/release/croissant-gguf}
[ -x "$program" ] || swift build -c release --product croissant-gguf
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A row for each type: both tests side by side. Columns are found by their names.
table() {
    "$program" bench --show "$1" -o md | awk -F ' *[|] *' '
        NR == 1 { for (i = 2; i < NF; i++) column[$i] = i; next }
        NR > 2 && NF > 2 {
            type = $column["model"]
            sub(/.* /, "", type)
            if (!(type in size)) order[++count] = type
            size[type] = $column["size"]
            speed[type, $column["test"]] = $column["median"]
            share[type, $column["test"]] = $column["MBU"] $column["of peak"]
            peak[type] = $column["peak memory"]
            budget[type] = $column["budget"]
            within[type] = $column["within"]
        }
        END {
            print "| type | weights | pp512, tokens/s | of peak | tg128, tokens/s | MBU | memory budget | peak memory | within |"
            print "|:--|--:|--:|--:|--:|--:|--:|--:|:--|"
            for (i = 1; i <= count; i++) {
                t = order[i]
                printf "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", t, size[t], speed[t, "pp512"], \
                    share[t, "pp512"], speed[t, "tg128"], share[t, "tg128"], budget[t], peak[t], within[t]
            }
        }'
}

# What each type costs the demonstration model: objects of one line, without commas or braces in their values.
quality() {
    awk -F '[{}:,"]+' '
        BEGIN {
            print "| type | file | into French | into English | perplexity | KL divergence from F32 | calibrated |"
            print "|:--|--:|--:|--:|--:|--:|--:|"
        }
        # What is left of rounding in the saved logits is no divergence.
        function nats(value) {
            return value == "null" ? "" : value < 1e-6 ? "below 0.000001" : sprintf("%.6f", value)
        }
        {
            for (i = 2; i < NF; i += 2) value[$i] = $(i + 1)
            printf "| %s | %.1f MB | %.1f%% | %.1f%% | %.4f | %s | %s |\n", value["type"], value["bytes"] / 1e6, \
                100 * value["exactIntoFrench"], 100 * value["exactIntoEnglish"], value["perplexity"], nats(value["divergence"]),\
                nats(value["calibratedDivergence"])
        }' "$1"
}

# What compare.py --json has measured against llama.cpp: one key a line.
peers() {
    awk '
        function value(line) { gsub(/^[^:]*: |[",]/, "", line); return line }
        function ratio() { return sprintf("%.2f (%.2f to %.2f)", row["ratio"], row["ratio_minimum"], row["ratio_maximum"]) }
        BEGIN {
            print "| file | test | tokens/s | llama.cpp | ratio (least to most) | peak memory | llama.cpp\047s |"
            print "|:--|:--|--:|--:|--:|--:|--:|"
        }
        /"file"/ { file = value($0); sub(/[.]gguf$/, "", file); count = 0 }
        /"(pp|tg)[0-9]+[^"]*": {/ { test = $0; gsub(/^ *"|": {$/, "", test) }
        /"(ours|theirs|ratio[a-z_]*)"/ { key = $0; gsub(/^ *"|".*/, "", key); row[key] = value($0) }
        /"ratio_maximum"/ { lines[++count] = sprintf("%s | %.1f | %.1f | %s", test, row["ours"], row["theirs"], ratio()) }
        /"peak_memory_ours"/ { ours = value($0) / 2 ^ 20 }
        /"peak_memory_theirs"/ {
            for (i = 1; i <= count; i++)
                printf "| %s | %s | %.0f MiB | %.0f MiB |\n", file, lines[i], ours, value($0) / 2 ^ 20
        }' "$1"
}

# Puts a table between two comments of the README that name it.
insert() {
    awk -v name="$1" -v table="$2" '
        $0 == "<!-- results " name " -->" { print; while ((getline line < table) > 0) print line; skipping = 1 }
        $0 == "<!-- end -->" { skipping = 0 }
        !skipping' "$work/README.md" > "$work/next.md"
    mv "$work/next.md" "$work/README.md"
}

# Which types fit into how much memory, from the plans of `budget`: the same on every machine with these options. Its JSON
# has one key a line, in the order of the alphabet.
budget() {
    "$program" budget --shape croissant -c 2048 -t 4 --isa scalar --json | awk '
        function fits(type, memory) {
            if (planned[type, "F16"] <= memory * 2 / 3) return "yes"
            return planned[type, "Q8_0"] <= memory * 2 / 3 ? "8-bit cache" : "no"
        }
        function value(line) { gsub(/^[^:]*: |[",]/, "", line); return line }
        /"keyType"/ { key = value($0) }
        /"planned"/ { bytes = value($0) + 0 }
        /"type"/ { type = value($0) }
        /"weights"/ { weights[type] = value($0); planned[type, key] = bytes }
        END {
            print "| type | weights | memory | with an 8-bit cache | 2 GB | 4 GB | 8 GB |"
            print "|:--|--:|--:|--:|:--|:--|:--|"
            count = split("Q2_K Q3_K_M Q4_0 Q4_K_M Q5_K_M Q6_K Q8_0 F16", types, " ")
            for (i = 1; i <= count; i++) {
                t = types[i]
                printf "| %s | %.2f GiB | %.2f GiB | %.2f GiB | %s | %s | %s |\n", t, weights[t] / 2 ^ 30, \
                    planned[t, "F16"] / 2 ^ 30, planned[t, "Q8_0"] / 2 ^ 30, fits(t, 2 ^ 31), fits(t, 2 ^ 32), fits(t, 2 ^ 33)
            }
        }'
}

cp README.md "$work/README.md"
for comparison in Benchmarks/Results/*.peers.json; do
    peers "$comparison" > "$work/table.md"
    insert "$(basename "$comparison" .json)" "$work/table.md"
done
for transcript in Benchmarks/Results/*.txt; do
    { echo '```console'; cat "$transcript"; echo '```'; } > "$work/table.md"
    insert "$(basename "$transcript")" "$work/table.md"
done
budget > "$work/table.md"
insert budget "$work/table.md"
quality Models/quality.jsonl > "$work/table.md"
insert quality "$work/table.md"
for results in Benchmarks/Results/*.jsonl; do
    name=$(basename "$results" .jsonl)
    "$program" bench --show "$results" -o svg --memory-budget 2GiB > "$work/$name.svg"
    table "$results" > "$work/table.md"
    insert "$name" "$work/table.md"
done
if grep -A 1 '^<!-- results' "$work/README.md" | grep '^<!-- end'; then
    echo "README.md: a table without results in Benchmarks/Results" >&2
    exit 1
fi
if [ "${1:-}" = --check ]; then
    diff -u README.md "$work/README.md" || { echo "README.md: run Benchmarks/report.sh" >&2; exit 1; }
    for picture in "$work"/*.svg; do
        cmp "Benchmarks/Results/$(basename "$picture")" "$picture" || { echo "run Benchmarks/report.sh" >&2; exit 1; }
    done
else
    cp "$work/README.md" README.md
    cp "$work"/*.svg Benchmarks/Results/
fi
