# Completes the page that generate-manual makes: adds the values that options take and what they are without, makes
# paragraphs and lines of what are such in the help, and ends before the exit status, of which it knows two only.
#
#     awk -f page.awk HELP.json PAGE.1
#
# HELP.json is what the program prints with --experimental-dump-help. Both go through the commands and their arguments
# in the same order.
FNR == NR {
    key = $1
    gsub(/[":]/, "", key)
    value = $0
    sub(/^[^:]*: */, "", value)
    gsub(/^ *"|",?$/, "", value)
    # Keys are in alphabetical order: the name of the value is the last one of an argument that is needed.
    if (key == "allValues") inValues = 1
    else if (inValues && /\]/) inValues = 0
    else if (inValues) values = values (values == "" ? "" : ", ") value
    else if (key == "defaultValue") fallback = value
    else if (key == "shouldDisplay") isShown = value ~ /true/
    else if (key == "valueName") {
        facts = values == "" ? "" : "values: " values
        if (fallback != "") facts = facts (facts == "" ? "" : "; ") "default: " fallback
        if (isShown) notes[++arguments] = facts
        values = fallback = ""
    }
    next
}

/^\.Sh "EXIT STATUS"$/ { exit }
/^(\.Pp)?$/ { isParagraph = 1; next }
isParagraph && !/^\.It/ { print ".Pp" }
{ isParagraph = 0 }
# A line that begins with a space is not joined to the one before: those of an example in JSON.
/^ *[{"]/ { $0 = " " $0 }
{ print }
# The sentences of an argument are the line after its name; commands are emphasised.
note != "" { print "(" note ")"; note = "" }
/^\.It / && !/^\.It Em / { note = notes[++seen] }
END { exit seen != arguments }
