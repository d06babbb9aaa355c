/// What the signs of a picture mean, in as many lines as needed.
struct PictureLegend {
    /// A sign and its meaning.
    enum Entry {
        case point(String, PointStyle), spread(String), line(String), hollow(String)
    }

    let entries: [Entry]

    /// Draws the entries beside each other; returns where the next thing may begin.
    func draw(_ svg: inout SVGDocument, from top: Double, left: Double, right: Double) -> Double {
        guard !entries.isEmpty else { return top - 14 }
        var (x, y) = (left, top)
        for entry in entries {
            let width = 22 + SVGDocument.width(entry.text, .tick)
            if x + width > right && x > left { (x, y) = (left, y + 20) }
            let middle = (x: x + 9, y: y - 4)
            switch entry {
            case .point(_, let style): svg.point(middle, style, isHollow: false)
            case .hollow: svg.point(middle, PointStyle(color: "#555", form: .circle), isHollow: true)
            case .line: svg.line((middle.x, middle.y - 8), (middle.x, middle.y + 8), "budget")
            case .spread:
                svg.line((middle.x, middle.y - 7), (middle.x, middle.y + 7), "spread", color: "#555")
                for y in [middle.y - 7, middle.y + 7] {
                    svg.line((middle.x - 4, y), (middle.x + 4, y), "spread", color: "#555")
                }
            }
            svg.text(entry.text, at: (x + 22, y), .tick)
            x += width + 8
        }
        return y + 8
    }
}

extension PictureLegend.Entry {
    fileprivate var text: String {
        switch self {
        case .point(let text, _), .spread(let text), .line(let text), .hollow(let text): text
        }
    }
}
