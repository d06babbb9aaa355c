internal import CKernels
package import GGUF

/// Panels: sixteen rows side by side, the layout of resident weights (described in panel.h).
package enum Panel {
    /// Rows of a panel.
    package static let rows = Int(CK_PANEL_ROWS)

    /// Vectors that a tile meets at a time, at most, on any instruction set.
    static let mostVectors = Int(CK_MOST_VECTORS)

    /// Whether weights of `type` can be panels.
    package static func exists(for type: GGMLType) -> Bool { ck_panel_sizes(type.rawValue).block != 0 }

    /// Whether to pack rows of `type` takes several times as long as to multiply them: what is packed once does not mind.
    static func isPackedSlowly(_ type: GGMLType) -> Bool { ck_panel_sizes(type.rawValue).is_packed_slowly }

    /// Bytes of a panel with rows of `columns` weights.
    package static func byteCount(of type: GGMLType, columns: Int) -> Int {
        let sizes = ck_panel_sizes(type.rawValue)
        return columns / Int(sizes.block) * Int(sizes.block_bytes)
    }
}
