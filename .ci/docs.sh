#!/usr/bin/env bash
# The documentation of the libraries: every public symbol has a comment, which says what it throws and what several
# arguments are, and the pages build without a warning.
set -euo pipefail
cd "$(dirname "$0")/.."

graphs=$(swift package dump-symbol-graph --pretty-print --skip-synthesized-members --minimum-access-level public 2>/dev/null |
    sed -n 's/^Files written to //p')
status=0
# What DemonstrationModel has is an extension.
for module in Croissant GGUF DemonstrationModel@GGUF; do
    # A symbol begins and ends at the fourth column; what its names are made of is in pathComponents. What the compiler
    # writes has no place in a file, and the comments of protocols are inherited from Swift's own modules.
    awk -v module="$module" '
        function value() { sub(/^[^:]*: "/, ""); sub(/",?$/, ""); return $0 }
        /^    [{]$/ { comment = place = path = inside = throws = says = text = signature = ""; arguments = 0 }
        /^      "docComment": / { comment = 1 }
        /"spelling": "throws"/ { throws = 1 }
        /"text": ".*[Tt]hrows/ { says = 1 }
        comment && /^        "module": "(Swift|_.*)"/ { comment = "" }
        # An argument is called in a comment as it is within the function.
        /^            "text": / { text = text "\n" value() }
        /^      "functionSignature": / { signature = 1 }
        /^      [}],?$/ { signature = "" }
        signature && /^            "name": / { argument[++arguments] = value() }
        signature && /^            "internalName": / { argument[arguments] = value() }
        /^      "location": / { place = 1 }
        /^      "pathComponents": / { inside = 1; next }
        inside && /^      \]/ { inside = "" }
        inside { gsub(/[ ",]/, ""); path = path "." $0 }
        /^    [}],?$/ && path != "" && place && !comment { print module path " has no comment"; failed = 1 }
        /^    [}],?$/ && path != "" && place && throws && !says { print module path " does not say what it throws"; failed = 1 }
        /^    [}],?$/ && path != "" && place && comment && (arguments > 1 || throws) {
            for (i = 1; i <= arguments; i++) {
                if (index(text, "`" argument[i] "`") || index(text "\n", "- Parameter " argument[i] ":")) continue
                if (index(text, "- Parameters:") && index(text, "  - " argument[i] ":")) continue
                print module path " does not say what " argument[i] " is"
                failed = 1
            }
        }
        /^    [}],?$/ && path != "" { count++; path = "" }
        END { if (!count) { print module " has no symbols"; failed = 1 } exit failed }
    ' "$graphs/$module.symbols.json" || status=1
done
[ $status = 0 ] || { echo "every public declaration has a comment, with what it throws and what its arguments are" >&2; exit 1; }

swift package generate-documentation --target Croissant --target GGUF --target DemonstrationModel --warnings-as-errors
