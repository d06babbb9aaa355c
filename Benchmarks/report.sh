#!/usr/bin/env bash
# Makes the README's table and picture of the results that are kept, or checks that they are in step.
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

cp README.md "$work/README.md"
for results in Benchmarks/Results/*.jsonl; do
    name=$(basename "$results" .jsonl)
    "$program" bench --show "$results" -o svg --memory-budget 2GiB > "$work/$name.svg"
    table "$results" > "$work/table.md"
    # The table goes between two comments that name the results.
    awk -v name="$name" -v table="$work/table.md" '
        $0 == "<!-- results " name " -->" { print; while ((getline line < table) > 0) print line; skipping = 1 }
        $0 == "<!-- end -->" { skipping = 0 }
        !skipping' "$work/README.md" > "$work/next.md"
    mv "$work/next.md" "$work/README.md"
done
if [ "${1:-}" = --check ]; then
    diff -u README.md "$work/README.md" || { echo "README.md: run Benchmarks/report.sh" >&2; exit 1; }
    for picture in "$work"/*.svg; do
        cmp "Benchmarks/Results/$(basename "$picture")" "$picture" || { echo "run Benchmarks/report.sh" >&2; exit 1; }
    done
else
    cp "$work/README.md" README.md
    cp "$work"/*.svg Benchmarks/Results/
fi
