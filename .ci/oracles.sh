#!/usr/bin/env bash
# Conversion and tokenizers against Hugging Face's own programs, where Python and these packages install.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

skip() {
    echo "oracle skipped: $1"
    exit 0
}

texts=../shared/data/text
[ -d "$texts" ] || skip "$texts is not here"
python3 -m venv "$folder/venv" >/dev/null 2>&1 || skip "Python has no venv (Debian: python3-venv)"
# The held-out sentences of the demonstration model are the same, whenever they are drawn.
python3 Models/Training/documents.py "$folder/texts"
cmp "$folder/texts/held-out.tsv" Models/held-out.tsv

# The build for CPUs: the other one is of several gigabytes.
echo "torch==2.13.0+cpu" >"$folder/constraints"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --retries 1 -r Benchmarks/Compare/oracles.txt \
    -c "$folder/constraints" >"$folder/log" 2>&1 || { tail -n 3 "$folder/log"; skip "the packages do not install"; }

# The release build of the README's first command is there already.
"$folder/venv/bin/python" Benchmarks/Compare/convert_oracle.py "$texts"
"$folder/venv/bin/python" Benchmarks/Compare/tokenizer_oracle.py "$texts"
