extension String {
    /// The text with everything escaped that would move a terminal's cursor, change its colours or reorder its line:
    /// control and format characters, line and paragraph separators, private and unassigned code points.
    package var escaped: String {
        var result = ""
        for scalar in unicodeScalars { result += Self.escape(scalar) }
        return result
    }

    /// The text escaped, between quotation marks, and cut after `quotedLimit` characters: for names out of a file.
    package var quoted: String {
        var result = "\""
        for (position, scalar) in unicodeScalars.enumerated() {
            guard position < Self.quotedLimit else {
                result += "…"
                break
            }
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            default: result += Self.escape(scalar)
            }
        }
        return result + "\""
    }

    /// Longer than every sensible tensor name, shorter than a line.
    private static let quotedLimit = 80

    private static func escape(_ scalar: Unicode.Scalar) -> String {
        switch scalar {
        case "\n": return "\\n"
        case "\r": return "\\r"
        case "\t": return "\\t"
        default: break
        }
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .unassigned, .surrogate:
            return "\\u{\(String(scalar.value, radix: 16))}"
        default:
            return String(scalar)
        }
    }
}
