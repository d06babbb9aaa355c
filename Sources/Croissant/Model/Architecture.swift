/// What a GGUF file does not say about its architecture: one row for each that this runtime can run.
///
/// All of them are the same block — RMSNorm, rotary positions, (grouped) attention, SwiGLU — so that one forward pass
/// serves every row.
package struct Architecture: Sendable {
    /// The name in `general.architecture`, which is also the prefix of the other keys.
    package let name: String
    /// Which elements RoPE pairs.
    package let rope: RoPELayout

    /// Every architecture.
    package static let all: [Architecture] = [
        Architecture(name: "llama", rope: .adjacent)
    ]

    /// The architecture called `name`.
    package static func named(_ name: String) throws(ModelError) -> Architecture {
        guard let found = all.first(where: { $0.name == name }) else {
            throw .unsupportedArchitecture(found: name, known: all.map(\.name))
        }
        return found
    }
}
