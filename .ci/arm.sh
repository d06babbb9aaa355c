#!/bin/sh
# Tests the kernels on ARM without one: builds them and Tests/CKernelsPortable with GCC and with Clang, statically, and
# runs them under QEMU as three processors, one for each instruction set. About four minutes on two cores.
#
#     .ci/arm.sh [<folder of golden blocks>]
set -eu
cd "$(dirname "$0")/.."
golden=${1:-../shared/data/blocks}
if [ ! -d "$golden" ]; then
    echo "without golden blocks: there is no folder $golden"
    golden=
fi

if ! command -v aarch64-linux-gnu-gcc > /dev/null || ! command -v qemu-aarch64 > /dev/null; then
    sh .ci/apt.sh gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags="-std=c17 -Wall -Wextra -Werror -pedantic -ISources/CKernels/include"

# build <name> <compiler and its flags>: compiles every file, a process for each core, and links with GCC.
build() {
    name=$1
    shift
    mkdir "$work/$name.objects"
    # shellcheck disable=SC2086 # the flags are words
    ls Sources/CKernels/*.c Tests/CKernelsPortable/*.c |
        xargs -P "$(nproc)" -I{} sh -c '
            file=$1 objects=$2
            shift 2
            "$@" -c "$file" -o "$objects/$(basename "$file").o"' - {} "$work/$name.objects" "$@" $flags
    aarch64-linux-gnu-gcc -static "$work/$name.objects"/*.o -lm -o "$work/$name"
}

# run <name> <processor> <instruction set that it has>
run() {
    echo "== $1 on $2"
    # shellcheck disable=SC2086 # no folder is no argument
    qemu-aarch64 -cpu "$2" "$work/$1" --expect "$3" $golden
}

clang="${CC:-clang} --target=aarch64-linux-gnu -isystem /usr/aarch64-linux-gnu/include"
build gcc-O2 aarch64-linux-gnu-gcc -O2
# shellcheck disable=SC2086 # the compiler and its flags are words
build clang-O2 $clang -O2
# shellcheck disable=SC2086
build clang-O0 $clang -O0
for name in gcc-O2 clang-O2 clang-O0; do
    run $name max neon-i8mm
    run $name cortex-a76 neon-dotprod
    run $name cortex-a72 neon
done
