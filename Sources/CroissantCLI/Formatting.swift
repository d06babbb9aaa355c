import Foundation
import GGUF

extension Double {
    /// The number with a fixed number of decimals, whatever the locale.
    func formatted(places: Int) -> String {
        String(format: "%.\(places)f", locale: Locale(identifier: "en_US_POSIX"), self)
    }

    /// The share in whole per cents, such as "61%".
    var percent: String { "\((100 * self).formatted(places: 0))%" }
}

extension Int {
    /// A count such as 1.35 B, 260 K or 12.
    var abbreviated: String {
        switch self {
        case 1_000_000_000...: "\((Double(self) / 1e9).formatted(places: 2)) B"
        case 1_000_000...: "\((Double(self) / 1e6).formatted(places: 2)) M"
        case 1000...: "\((Double(self) / 1e3).formatted(places: 1)) K"
        default: "\(self)"
        }
    }
}

extension String {
    /// The text in a cell of a Markdown table.
    var cell: String { escaped.replacing("|", with: "\\|") }
}
