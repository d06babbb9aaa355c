internal import CKernels
package import GGUF

/// Panels: sixteen rows side by side, the layout of resident weights (described in panel.h).
package enum Panel {
    /// Rows of a panel.
    package static let rows = Int(CK_PANEL_ROWS)

    /// Vectors that a panel meets at a time, widest first.
    package static let vectorWidths = [4, 1]

    /// Whether weights of `type` can be panels.
    package static func exists(for type: GGMLType) -> Bool { ck_panel_sizes(type.rawValue).block != 0 }

    /// Bytes of a panel with rows of `columns` weights.
    package static func byteCount(of type: GGMLType, columns: Int) -> Int {
        let sizes = ck_panel_sizes(type.rawValue)
        return columns / Int(sizes.block) * Int(sizes.block_bytes)
    }

    /// Bytes of a tile with rows of `columns` weights that meets activations in `form`.
    package static func tileBytes(of type: GGMLType, columns: Int, form: ColumnForm) -> Int {
        let sizes = ck_panel_sizes(type.rawValue)
        switch form {
        case .int8, .int16: return columns / 32 * Int(sizes.tile_bytes)
        case .wideInt8: return Int(CK_WIDE_HEADER) + columns / 64 * Int(sizes.wide_bytes)
        }
    }
}
