#!/usr/bin/env bash
# Builds the program and installs it with its manual page and the completions of three shells, where each is looked for.
#
#     ./install.sh [PREFIX]
#
# PREFIX is /usr/local where none is given; ~/.local needs no root. DESTDIR and CONFIGURATION may be set, too.
set -euo pipefail
prefix=$(realpath -m -- "${1:-/usr/local}")
cd "$(dirname "$0")"
configuration=${CONFIGURATION:-release}
target=${DESTDIR:-}$prefix

# The plugin of swift-argument-parser builds the program, and asks it for what its manual page says.
swift package generate-manual --configuration "$configuration"
program=$(swift build -c "$configuration" --show-bin-path)/croissant-gguf
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for shell in bash zsh fish; do
    "$program" --generate-completion-script "$shell" >"$work/$shell"
done
# To what the plugin makes, defaults and whole sections are added.
"$program" --experimental-dump-help >"$work/help"
awk -f Manual/page.awk "$work/help" .build/plugins/GenerateManual/outputs/CroissantCLI/croissant-gguf.1 >"$work/manual"
cat Manual/sections.mdoc >>"$work/manual"

install -D -m 755 "$program" "$target/bin/croissant-gguf"
install -D -m 644 "$work/manual" "$target/share/man/man1/croissant-gguf.1"
install -D -m 644 "$work/bash" "$target/share/bash-completion/completions/croissant-gguf"
install -D -m 644 "$work/zsh" "$target/share/zsh/site-functions/_croissant-gguf"
install -D -m 644 "$work/fish" "$target/share/fish/vendor_completions.d/croissant-gguf.fish"
echo "installed $target/bin/croissant-gguf"
