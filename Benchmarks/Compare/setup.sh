#!/usr/bin/env bash
# Makes the virtual environment of the peers beside this script: llama-cpp-python, built for this machine (about ten
# minutes, once), and what the comparison needs. Debian: apt-get install -y python3-venv build-essential cmake
set -euo pipefail
cd "$(dirname "$0")"
python3 -m venv .venv
.venv/bin/pip install --quiet --upgrade pip
# Version and build are pinned: figures of different builds cannot be compared, and a wheel from a cache may be another one.
# Where the processor has AMX, GCC 12 takes away what llama.cpp configures it with (_tile_loadconfig is said to read eight
# bytes of 64), and prefill would end with an illegal instruction: stores that seem dead are to stay.
if grep -qw amx_tile /proc/cpuinfo 2> /dev/null; then
    export CMAKE_ARGS="-DCMAKE_CXX_FLAGS='-fno-tree-dse -fno-dse' ${CMAKE_ARGS:-}"
fi
.venv/bin/pip install --quiet --no-cache-dir 'llama-cpp-python==0.3.36' 'numpy>=2,<3'
.venv/bin/python -c 'import llama_cpp; print("llama-cpp-python", llama_cpp.__version__)'
