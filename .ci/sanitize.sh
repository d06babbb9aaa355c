#!/bin/sh
# Tests the kernels on this machine, of any kind, with the address and undefined-behaviour sanitisers.
#
#     .ci/sanitize.sh [<folder of golden blocks>]
set -eu
cd "$(dirname "$0")/.."
golden=${1:-../shared/data/blocks}
[ -d "$golden" ] || golden=

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Optimising what sanitisers add would take ten times as long; warnings are for other checks.
flags="-std=c17 -O0 -g -w -ISources/CKernels/include"
sanitizers="-fsanitize=address,undefined -fno-sanitize-recover=all"
# Few servers have AVX-VNNI, all laptops of some years do: its kernels are tested with the products of AVX-512 VNNI.
if grep -qw avx512_vnni /proc/cpuinfo 2> /dev/null && ! grep -qw avx_vnni /proc/cpuinfo; then
    flags="$flags -DCK_AVXVNNI_BY_AVX512"
fi
# shellcheck disable=SC2086 # the flags are words
ls Sources/CKernels/*.c Tests/CKernelsPortable/*.c |
    xargs -P "$(nproc)" -I{} sh -c '
        file=$1 work=$2
        shift 2
        "$@" -c "$file" -o "$work/$(basename "$file").o"' - {} "$work" "${CC:-cc}" $flags $sanitizers
# shellcheck disable=SC2086
"${CC:-cc}" $sanitizers "$work"/*.o -lm -o "$work/kernels" 2> "$work/link.log" || { cat "$work/link.log" >&2; exit 1; }
# shellcheck disable=SC2086 # no folder is no argument
"$work/kernels" $golden
