import Foundation
import PackagePlugin

/// Writes down the commit that a program is built from, so that an installed one can say it.
///
/// SwiftPM's own `Context.gitInformation` will not do: a manifest is not evaluated again for another commit, so that it
/// goes on to tell the old one.
@main
struct CommitPlugin: BuildToolPlugin {
    /// One command before each build: a commit changes no file that a build could depend on.
    func createBuildCommands(context: PluginContext, target: any Target) -> [Command] {
        let folder = context.pluginWorkDirectoryURL.appending(path: "Commit")
        return [
            .prebuildCommand(
                displayName: "Looking for the commit", executable: URL(filePath: "/bin/sh"),
                arguments: [
                    "-c", script, "sh", context.package.directoryURL.path(percentEncoded: false),
                    folder.path(percentEncoded: false),
                ],
                environment: ["PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"],
                outputFilesDirectory: folder)
        ]
    }
}

/// From the package's folder to a Swift file in the other folder, which is only touched when it changes.
///
/// Without git, or outside a repository, the commit is nil. An unpacked archive may lie somewhere in a repository of
/// something else, whose commit is not asked for.
private let script = """
    cd "$1" || exit
    commit=nil
    if [ "$(git rev-parse --is-inside-work-tree --show-prefix 2>/dev/null)" = true ]; then
        name=$(git --no-optional-locks describe --always --dirty --abbrev=12 --exclude='*' 2>/dev/null) &&
            commit="\\"$name\\""
    fi
    mkdir -p "$2" || exit
    {
        echo "/// The commit that this was built from; nil where that is not known."
        echo "let builtCommit: String? = $commit"
    } > "$2/next"
    cmp -s "$2/next" "$2/BuiltCommit.swift" || cp "$2/next" "$2/BuiltCommit.swift"
    rm "$2/next"
    """
