/// What a GGUF file does not say about its architecture: one row for each that this runtime can run.
///
/// All of them are the same block — RMSNorm, rotary positions, (grouped) attention, SwiGLU — with parts that some have
/// and others have not, so that one forward pass serves every row.
package struct Architecture: Sendable {
    /// The name in `general.architecture`, which is also the prefix of the other keys.
    package let name: String
    /// Which elements RoPE pairs.
    package let rope: RoPELayout
    /// Whether a bias is added to queries, keys and values.
    package var hasQueryKeyValueBias = false
    /// Whether every head of queries and keys is normalised by itself, before it is turned.
    package var normalizesHeads = false

    /// Every architecture. Converters reorder the rows of Llama's query and key projections so that pairs are adjacent.
    package static let all: [Architecture] = [
        Architecture(name: "llama", rope: .adjacent),
        Architecture(name: "qwen2", rope: .halves, hasQueryKeyValueBias: true),
        Architecture(name: "qwen3", rope: .halves, normalizesHeads: true),
    ]

    /// The architecture called `name`.
    package static func named(_ name: String) throws(ModelError) -> Architecture {
        guard let found = all.first(where: { $0.name == name }) else {
            throw .unsupportedArchitecture(found: name, known: all.map(\.name))
        }
        return found
    }
}
