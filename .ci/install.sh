#!/usr/bin/env bash
# What install.sh installs works: the program from another folder, completions that complete, and a manual page that
# renders, with examples that run.
set -euo pipefail
cd "$(dirname "$0")/.."
repository=$PWD
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
for section in NAME SYNOPSIS DESCRIPTION ENVIRONMENT "EXIT STATUS" EXAMPLES; do
    [ "$(grep -cx ".Sh $section" "$page")" = 1 ]
done
# The lines of a section, or of an option of a command.
part() { sed -n "/^$1\$/,/^\.$2 /p" "$page"; }
part '.Sh EXIT STATUS' 'Sh EXAMPLES' | grep -cxF '.It 130' >/dev/null
part '.It Fl -temp Ar t' It | grep -cxF 'Temperature; 0 always takes the most likely token. (default: 0.8)' >/dev/null
part '.It Fl -prefill Ar how' It | grep -cxF '(values: auto, sgemm, int8, int16; default: auto)' >/dev/null
if command -v groff >/dev/null; then
    # Warnings of the renderer are mistakes of the page.
    [ -z "$(groff -mdoc -Tascii -ww "$page" 2>&1 >"$prefix/page")" ]
    # Bold letters are printed twice.
    for word in quantize --memory-budget; do sed 's/.\x08//g' "$prefix/page" | grep -c -e "$word" >/dev/null; done
fi

# Its examples work.
(
    cd "$prefix/files"
    rm model.gguf
    croissant-gguf quantize --quiet --allow-requantize "$repository/Models/croissant-nano-Q6_K.gguf" model.gguf F16
    for _ in {1..40}; do echo "The bear cleans the old table. L'ours nettoie la vieille table."; done >text.txt
    sed -n '/^\.Bd/,/^\.Ed/{/^\.[BE]d/d;s/\\(dq/"/g;s/\\e$/\\/;p}' "$page" >examples
    [ "$(grep -c '^croissant-gguf ' examples)" = 6 ]
    bash -euxo pipefail examples >results
)
