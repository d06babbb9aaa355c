import Foundation
import GGUF

/// A rectangle of the picture; y grows downwards.
package struct PictureBox: Equatable {
    package var left: Double
    package var top: Double
    package var right: Double
    package var bottom: Double

    package init(left: Double, top: Double, right: Double, bottom: Double) {
        self.left = left
        self.top = top
        self.right = right
        self.bottom = bottom
    }

    /// The area that two have in common.
    package func overlap(_ other: PictureBox) -> Double {
        max(0, min(right, other.right) - max(left, other.left))
            * max(0, min(bottom, other.bottom) - max(top, other.top))
    }

    /// Larger on all sides.
    package func grown(by margin: Double) -> PictureBox {
        PictureBox(left: left - margin, top: top - margin, right: right + margin, bottom: bottom + margin)
    }
}

/// How points of a panel look.
struct PointStyle {
    /// The colour of Okabe and Ito's, darkened where it would be weak on white.
    let color: String
    let form: Form

    enum Form { case circle, square, diamond }

    /// The style of a panel, counted from 0.
    static func of(_ panel: Int) -> PointStyle {
        let styles = [
            PointStyle(color: "#0072B2", form: .circle), PointStyle(color: "#D55E00", form: .square),
            PointStyle(color: "#007E5D", form: .diamond),
        ]
        return styles[panel % styles.count]
    }
}

/// The elements of an SVG picture, as text.
struct SVGDocument {
    private let width: Double
    private var lines: [String] = []

    init(width: Double) { self.width = width }

    /// The kinds of text.
    enum TextKind: String {
        case title, panel, axis, tick, label

        /// Pixels.
        var size: Double {
            switch self {
            case .title: 19
            case .panel: 14
            case .axis: 13
            case .tick, .label: 12
            }
        }
    }

    /// Where a text's position is in it.
    enum Anchor: String { case start, middle, end }

    typealias Position = (x: Double, y: Double)

    /// A line of text on the base line of `at`.
    mutating func text(_ text: String, at: Position, _ kind: TextKind, _ anchor: Anchor = .start) {
        let anchor = anchor == .start ? "" : " text-anchor=\"\(anchor.rawValue)\""
        lines.append(
            "<text class=\"\(kind.rawValue)\" x=\"\(at.x.coordinate)\" y=\"\(at.y.coordinate)\"\(anchor)>\(text.xml)</text>"
        )
    }

    /// A straight line of a class of the style sheet.
    mutating func line(_ from: Position, _ to: Position, _ kind: String, color: String? = nil) {
        let color = color.map { " stroke=\"\($0)\"" } ?? ""
        lines.append(
            "<line class=\"\(kind)\" x1=\"\(from.x.coordinate)\" y1=\"\(from.y.coordinate)\" x2=\"\(to.x.coordinate)\" "
                + "y2=\"\(to.y.coordinate)\"\(color)/>")
    }

    /// A filled rectangle.
    mutating func rectangle(_ box: PictureBox, fill: String) {
        lines.append(
            "<rect x=\"\(box.left.coordinate)\" y=\"\(box.top.coordinate)\" width=\"\((box.right - box.left).coordinate)\" "
                + "height=\"\((box.bottom - box.top).coordinate)\" fill=\"\(fill)\"/>")
    }

    /// A measurement; what it is shows where the mouse rests.
    mutating func point(_ at: Position, _ style: PointStyle, isHollow: Bool, tip: String? = nil) {
        let paint =
            "fill=\"\(isHollow ? "#fff" : style.color)\" stroke=\"\(isHollow ? style.color : "#fff")\" "
            + "stroke-width=\"\(isHollow ? 2 : 1)\""
        let tip = tip.map { "<title>\($0.xml)</title>" } ?? ""
        let (x, y) = (at.x.coordinate, at.y.coordinate)
        switch style.form {
        case .circle: lines.append("<circle cx=\"\(x)\" cy=\"\(y)\" r=\"5.5\" \(paint)>\(tip)</circle>")
        case .square:
            lines.append(
                "<rect x=\"\((at.x - 5).coordinate)\" y=\"\((at.y - 5).coordinate)\" width=\"10\" height=\"10\" \(paint)>"
                    + "\(tip)</rect>")
        case .diamond:
            lines.append("<path d=\"M\(x) \((at.y - 7).coordinate)l7 7l-7 7l-7 -7z\" \(paint)>\(tip)</path>")
        }
    }

    /// The whole document, on white, which viewers with a dark background need.
    func finished(height: Double, title: String) -> String {
        let (width, height) = (width.coordinate, height.coordinate)
        let sizes = [TextKind.title, .panel, .axis, .tick, .label].map { kind in
            ".\(kind.rawValue){font-size:\(kind.size.coordinate)px}"
        }
        return """
            <?xml version="1.0" encoding="UTF-8"?>
            <svg xmlns="http://www.w3.org/2000/svg" width="\(width)" height="\(height)" viewBox="0 0 \(width) \(height)" \
            role="img" font-family="Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif" fill="#222">
            <title>\(title.xml)</title>
            <style>\(sizes.joined())
            .title,.panel{font-weight:bold}.tick,.axis{fill:#555}
            .label{paint-order:stroke;stroke:#fff;stroke-width:3px;stroke-linejoin:round}
            .grid{stroke:#e4e4e4}.base{stroke:#888}.leader{stroke:#999;stroke-width:0.8}
            .spread{stroke-width:1.5}.budget{stroke:#222;stroke-width:1.5;stroke-dasharray:6 4}</style>
            <rect width="\(width)" height="\(height)" fill="#fff"/>
            \(lines.joined(separator: "\n"))
            </svg>

            """
    }

    /// The width of a text, generously: the font is the viewer's, and among the usual ones DejaVu Sans is the widest.
    static func width(_ text: String, _ kind: TextKind) -> Double {
        text.escaped.unicodeScalars.reduce(0) { $0 + share($1) } * kind.size
    }

    /// The text, cut with an ellipsis where it is wider than `width`.
    static func fitted(_ text: String, _ kind: TextKind, width: Double) -> String {
        guard self.width(text, kind) > width else { return text }
        var text = text
        repeat { text.removeLast() } while !text.isEmpty && self.width(text + "…", kind) > width
        return text + "…"
    }

    /// The width of a character as a share of the font's size.
    private static func share(_ scalar: Unicode.Scalar) -> Double {
        switch scalar {
        case " ", "i", "j", "l", "I", ".", ",", ":", ";", "'", "|", "!": 0.34
        case "f", "r", "t", "(", ")", "[", "]", "/", "-": 0.42
        case "+", "=", "<", ">", "~", "w": 0.84
        case "m", "M", "W", "@", "%", "…": 1
        case "A"..."Z": 0.76
        case "\u{0}"..."\u{2E7F}": 0.64
        default: 1.1
        }
    }
}

extension Double {
    /// The number as it stands in the document, to a hundredth of a pixel.
    fileprivate var coordinate: String {
        let text = formatted(places: 2)
        return text.hasSuffix(".00") ? String(text.dropLast(3)) : text
    }
}

extension String {
    /// The text with what is not allowed in XML 1.0 escaped in our way, and what means something there in XML's.
    fileprivate var xml: String {
        escaped.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
            .replacing("\"", with: "&quot;").replacing("'", with: "&apos;")
    }
}
