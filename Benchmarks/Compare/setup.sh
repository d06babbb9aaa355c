#!/usr/bin/env bash
# Makes the virtual environment of the peers beside this script: llama-cpp-python, built for this machine (about ten
# minutes, once), and what the comparison needs. Debian: apt-get install -y python3-venv build-essential cmake
set -euo pipefail
cd "$(dirname "$0")"
python3 -m venv .venv
.venv/bin/pip install --quiet --upgrade pip
# Version and build are pinned: figures of different builds cannot be compared.
.venv/bin/pip install --quiet 'llama-cpp-python==0.3.36' 'numpy>=2,<3'
.venv/bin/python -c 'import llama_cpp; print("llama-cpp-python", llama_cpp.__version__)'
