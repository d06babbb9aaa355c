#!/usr/bin/env bash
# A package of somebody else that depends on the library by path: builds without any flags, and generates text, with the
# model that is built in and with a file. One of its programs is the README's example, and one of its targets has every
# example of the documentation.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -p "$work/Sources/Dependent" "$work/Sources/Example" "$work/Sources/Demonstration" "$work/Sources/Examples"
name=$(basename "$root")
cat >"$work/Package.swift" <<EOF
// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "Dependent",
    dependencies: [.package(path: "$root")],
    targets: [
        .executableTarget(
            name: "Dependent", dependencies: [.product(name: "Croissant", package: "$name")]),
        .executableTarget(
            name: "Example", dependencies: [.product(name: "Croissant", package: "$name")]),
        .executableTarget(
            name: "Demonstration",
            dependencies: [
                .product(name: "Croissant", package: "$name"), .product(name: "DemonstrationModel", package: "$name"),
            ]),
        .target(
            name: "Examples",
            dependencies: [
                .product(name: "Croissant", package: "$name"), .product(name: "DemonstrationModel", package: "$name"),
                .product(name: "GGUF", package: "$name"),
            ]),
    ]
)
EOF
cat >"$work/Sources/Dependent/Dependent.swift" <<'EOF'
import Croissant

@main
struct Dependent {
    static func main() throws {
        let path = CommandLine.arguments[1]
        if CommandLine.arguments.count > 2 {
            var shape = ModelShape.croissant
            shape.layers = 2
            shape.embeddingLength = 256
            shape.feedForwardLength = 704
            shape.vocabularySize = 1024
            try ModelSynthesizer(shape: shape, type: .q4_0).write(to: path)
        }
        let model = try Model(contentsOf: path)
        let session = try Session(model, contextLength: 128)
        var generation = try Generator(
            session, prompt: "Once upon a time", sampling: .greedy, limits: GenerationLimits(maximumTokens: 24))
        var text = ""
        while let piece = generation.next() { text += piece }
        print("\(generation.tokens.count) tokens: \(text)")
    }
}
EOF
cat >"$work/Sources/Demonstration/main.swift" <<'EOF'
import Croissant
import DemonstrationModel
import GGUF

let model = try Model(GGUFFile.demonstration())
let question = "Translate into French: The owl sings at night."
var generation = try Generator(
    Session(model), prompt: model.chatFormat?.prompt(question) ?? question, sampling: .greedy)
while let piece = generation.next() { print(piece, terminator: "") }
EOF
sed -n '/^import Croissant$/,/^```$/p' "$root/README.md" | sed '$d; s/"model.gguf"/CommandLine.arguments[1]/' \
    >"$work/Sources/Example/main.swift"
grep -q 'CommandLine.arguments' "$work/Sources/Example/main.swift"
# Each example is a file: its imports, and a function around the rest, so that no two share a name.
for page in "$root"/README.md "$root"/Sources/*/*.docc/*.md; do
    awk -v folder="$work/Sources/Examples" -v page="$(basename "$page" .md)" '
        /^```/ && inside { printf "%s\nfunc %s() throws {\n%s}\n", imports, name, code > (folder "/" name ".swift") }
        /^```/ { inside = $0 == "```swift" && !inside; name = tolower(page) "Example" ++count; imports = code = ""; next }
        inside && /^import / { imports = imports $0 "\n"; next }
        inside { code = code "    " $0 "\n" }' "$page"
done
[ "$(ls "$work/Sources/Examples" | wc -l)" -ge 10 ]
swift build --package-path "$work" -c release 2>&1 | tail -n 3
program="$work/.build/release/Dependent"
stories="$root/../shared/data/models/stories260K.gguf"
model="$stories"
if [ -f "$stories" ]; then
    "$program" "$stories" | tee "$work/output"
    grep -q '24 tokens: , there was a little girl' "$work/output"
else
    model="$work/tiny.gguf"
    "$program" "$model" synthesize | tee "$work/output"
    grep -q '24 tokens' "$work/output"
fi
"$work/.build/release/Example" "$model" >/dev/null
# From another folder, as a program that was installed runs.
[ "$(cd / && "$work/.build/release/Demonstration")" = "Le hibou chante la nuit." ]
if grep -q 'croissant-nano' "$program"; then
    echo "a program that does not use the demonstration model carries it" >&2
    exit 1
fi
