#!/usr/bin/env bash
# The rules that the compiler does not check: which target may import what, and which files may touch pointers.
set -euo pipefail
cd "$(dirname "$0")/.."
status=0

# forbid WHAT PATTERN PATH...: fails where a Swift or C file below the paths matches.
forbid() {
    local what=$1 pattern=$2
    shift 2
    # Comments may show how the library is used.
    if grep -rnE --include='*.swift' --include='*.c' --include='*.h' "$pattern" "$@" | grep -vE ':[0-9]+:[[:space:]]*(//|/?\*)'; then
        echo "rule broken: $what" >&2
        status=1
    fi
}

import='^[[:space:]]*(@[a-zA-Z_]+[[:space:]]+)*((public|package|internal|fileprivate|private)[[:space:]]+)?import[[:space:]]+((struct|class|enum|func|var|let|typealias)[[:space:]]+)?'
forbid "GGUF imports no Foundation and none of our C targets" "$import(Foundation|FoundationEssentials|CKernels|COpenBLAS|CDemonstrationModel)" \
    Sources/GGUF
forbid "Croissant imports no command-line, network or Foundation module" \
    "$import(ArgumentParser|Hummingbird|NIO|Foundation|FoundationEssentials|FoundationNetworking)" Sources/Croissant
forbid "Croissant neither prints nor exits" '(^|[^.[:alnum:]_])(print|debugPrint|exit|abort|fatalError)\(' Sources/Croissant Sources/GGUF
forbid "the command line reaches C only through Croissant" "$import(CKernels|COpenBLAS|CDemonstrationModel)" Sources/CroissantCLI
forbid "CKernels neither allocates, prints nor starts threads" \
    '(malloc|calloc|realloc|printf|fopen|pthread_[a-z]+)[[:space:]]*\(' Sources/CKernels

# Of Croissant, one folder knows the kernels, and one file each a BLAS.
only() {
    local module=$1 place=$2
    if grep -rlE --include='*.swift' "$import$module" Sources/Croissant | grep -vE "/$place\.swift\$"; then
        echo "rule broken: only $place imports $module" >&2
        status=1
    fi
}
only CKernels 'Compute/Kernels/[^/]+'
only COpenBLAS BLASOpenBLAS
only Accelerate BLASAccelerate

# The compiler demands 'unsafe' before every unsafe expression (strict memory safety): only these files have any.
pointers='/(MappedFile|SystemFile|FloatBuffer|WeightStore|Compute/Kernels/[^/]+|BLAS|BLASOpenBLAS|BLASAccelerate|ThreadPool|DemonstrationModel)\.swift$'
if grep -rlE --include='*.swift' '(^|[^[:alnum:]_."`])(unsafe|nonisolated\(unsafe\)) ' Sources | grep -vE "$pointers" | while read -r file; do
    # Words in comments do not count.
    if sed 's,//.*,,' "$file" | grep -qE '(^|[^[:alnum:]_."`])unsafe '; then echo "$file"; fi
done | grep .; then
    echo "rule broken: unsafe code outside the pointer files" >&2
    status=1
fi
if grep -rnE --include='*.swift' '@unchecked[[:space:]]+Sendable' Sources | grep -vE "${pointers%\$}:"; then
    echo "rule broken: @unchecked Sendable outside the pointer files" >&2
    status=1
fi
if grep -nE 'unsafeFlags' Package.swift; then
    echo "rule broken: with unsafe flags nobody can depend on the package by version" >&2
    status=1
fi
exit $status
