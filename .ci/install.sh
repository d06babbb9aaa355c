#!/usr/bin/env bash
# What install.sh installs works: the program from another folder, completions that complete, and a manual page that
# renders.
set -euo pipefail
cd "$(dirname "$0")/.."
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT

# The debug build is there already.
CONFIGURATION=debug ./install.sh "$prefix"
PATH="$prefix/bin:$PATH"
cd /
version=$(croissant-gguf --version)
echo "$version"
grep -q '^kernels ' <<<"$version"

completions=$prefix/share/bash-completion/completions/croissant-gguf
bash -n "$completions"
# As bash does when a word is completed: COMP_WORDS is the line, COMPREPLY what fits.
complete_bash() {
    bash -c '
        source "$1"; shift
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
        function=$(complete -p croissant-gguf | sed "s/.*-F \([^ ]*\).*/\1/")
        "$function" croissant-gguf "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf "%s\n" "${COMPREPLY[@]}"' bash "$completions" "$@"
}
[ "$(complete_bash croissant-gguf quan)" = quantize ]
[ "$(complete_bash croissant-gguf budget --memory-b)" = --memory-budget ]
[ "$(complete_bash croissant-gguf generate --weights m)" = mapped ]
[ "$(complete_bash croissant-gguf convert folder out.gguf --type Q4_K_M)" = Q4_K_M ]
(
    mkdir "$prefix/files"
    cd "$prefix/files"
    touch model.gguf notes.txt
    [ "$(complete_bash croissant-gguf generate -m "")" = model.gguf ]
    [ "$(complete_bash croissant-gguf inspect mo)" = model.gguf ]
    [ "$(complete_bash croissant-gguf perplexity -f no)" = notes.txt ]
)
grep -q '^#compdef croissant-gguf' "$prefix/share/zsh/site-functions/_croissant-gguf"
grep -q "complete -c 'croissant-gguf'" "$prefix/share/fish/vendor_completions.d/croissant-gguf.fish"
for shell in zsh fish; do
    # These parse their own, where they are there to do it.
    if command -v "$shell" >/dev/null; then "$shell" -n "$prefix"/share/"$shell"/*/*croissant-gguf*; fi
done

page=$prefix/share/man/man1/croissant-gguf.1
for section in NAME SYNOPSIS DESCRIPTION; do grep -qx ".Sh $section" "$page"; done
if command -v groff >/dev/null; then
    # Warnings of the renderer are mistakes of the page.
    [ -z "$(groff -mdoc -Tascii -ww "$page" 2>&1 >"$prefix/page")" ]
    # Bold letters are printed twice.
    for word in quantize --memory-budget; do sed 's/.\x08//g' "$prefix/page" | grep -c -e "$word" >/dev/null; done
fi
