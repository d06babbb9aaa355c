import Croissant
import Foundation
import GGUF

/// Tokens a second against memory, as an SVG picture that needs nothing beside itself.
///
/// Each panel has a scale of its own for speeds, from 0 on, so that heights compare as speeds do; memory has one for all
/// of them. Panels differ in colour and in the form of their points, and the colours are told apart by the colour-blind
/// too (Okabe and Ito, "Color universal design", 2008).
package struct BenchPicture {
    /// The picture's title.
    package var title: String
    /// What is drawn, from top to bottom.
    package var panels: [Panel]
    /// Bytes of memory that may be used: a line, where there is one.
    package var budget: Int?

    /// One diagram, such as that of prompt processing.
    package struct Panel {
        /// What its points have in common.
        package var title: String
        /// The measurements.
        package var points: [Point]

        /// A diagram of `points`.
        package init(title: String, points: [Point]) {
            self.title = title
            self.points = points
        }
    }

    /// One measurement.
    package struct Point {
        /// What distinguishes it, such as the type of the weights.
        package var label: String
        /// Peak memory in bytes.
        package var bytes: Int
        /// The median of the runs.
        package var tokensPerSecond: Double
        /// The 10th to the 90th percentile of the runs, in tokens a second.
        package var spread: ClosedRange<Double>?

        /// A measurement.
        package init(label: String, bytes: Int, tokensPerSecond: Double, spread: ClosedRange<Double>? = nil) {
            self.label = label
            self.bytes = bytes
            self.tokensPerSecond = tokensPerSecond
            self.spread = spread
        }
    }

    /// A picture of `panels`.
    package init(title: String, panels: [Panel], budget: Int? = nil) {
        self.title = title
        self.panels = panels
        self.budget = budget
    }

    /// The picture as a document of XML 1.0.
    package func svg() -> String {
        let panels = drawable
        let axis = memoryAxis(panels.flatMap(\.points))
        var svg = SVGDocument(width: Self.width)
        let heading = SVGDocument.fitted(title, .title, width: Self.width - 2 * Self.margin)
        svg.text(heading, at: (Self.margin, 36), .title)
        let legend = legend(panels)
        var top = legend.draw(&svg, from: 62, left: Self.margin, right: Self.width - Self.margin)
        for (index, panel) in panels.enumerated() {
            let box = PictureBox(
                left: Self.left, top: top + 34, right: Self.width - Self.margin,
                bottom: top + 34 + plotHeight(panel, of: panels.count))
            PicturePanel(
                title: panel.title, points: panel.points, box: box, style: .of(index), memory: axis, budget: budget
            ).draw(&svg)
            top = box.bottom + 30
        }
        svg.text(
            "peak memory, \(axis.unit)", at: ((Self.left + Self.width - Self.margin) / 2, top + 16), .axis, .middle)
        return svg.finished(height: top + 36, title: title)
    }

    // Lengths are in units of the picture, pixels where nobody scales it.
    private static let width = 960.0
    private static let margin = 28.0
    /// Where the diagrams begin, to the right of the numbers of their scales.
    private static let left = 76.0

    /// The panels with the points that can be drawn: no speed is negative or endless.
    private var drawable: [Panel] {
        func isDrawable(_ speed: Double) -> Bool { (0...1e12).contains(speed) }
        return panels.map { panel in
            Panel(
                title: panel.title,
                points: panel.points.filter { isDrawable($0.tokensPerSecond) }.map { point in
                    let spread = point.spread.flatMap {
                        isDrawable($0.lowerBound) && isDrawable($0.upperBound) ? $0 : nil
                    }
                    return Point(
                        label: point.label, bytes: max(point.bytes, 0), tokensPerSecond: point.tokensPerSecond,
                        spread: spread)
                })
        }
    }

    /// Higher where there are more labels to place.
    private func plotHeight(_ panel: Panel, of count: Int) -> Double {
        (count == 1 ? 380 : 260) + 8 * Double(min(max(panel.points.count - 12, 0), 100))
    }

    /// The scale of memory: from 0 on where that takes little of the width.
    private func memoryAxis(_ points: [Point]) -> PictureAxis {
        let values = points.map { Double($0.bytes) } + (budget.map { [Double(max($0, 0))] } ?? [])
        let unit = MemoryUnit.of(values.max() ?? 0x1p30)
        let scaled = values.map { $0 / unit.bytes }
        let (least, most) = (scaled.min() ?? 0, scaled.max() ?? 1)
        let margin = max((most - least) * 0.08, most * 0.02, most > 0 ? 0 : 1)
        let start = least < most * 0.2 ? 0 : max(least - margin, 0)
        return PictureAxis(
            domain: start...most + margin, pixels: (Self.left, Self.width - Self.margin), ticks: 8, unit: unit.name,
            unitSize: unit.bytes)
    }

    private func legend(_ panels: [Panel]) -> PictureLegend {
        var entries: [PictureLegend.Entry] = []
        if panels.count > 1 {
            entries += panels.enumerated().map {
                .point(SVGDocument.fitted($0.element.title, .tick, width: 400), .of($0.offset))
            }
        }
        let points = panels.flatMap(\.points)
        if points.contains(where: { $0.spread != nil }) { entries.append(.spread("10th to 90th percentile")) }
        if let budget {
            entries.append(.line("memory budget, \(ByteCount(max(budget, 0)))"))
            if points.contains(where: { $0.bytes > budget }) { entries.append(.hollow("beyond the budget")) }
        }
        return PictureLegend(entries: entries)
    }
}

/// What memory is counted in.
private struct MemoryUnit {
    let name: String
    let bytes: Double

    /// The largest unit that `bytes` has at least one of.
    static func of(_ bytes: Double) -> MemoryUnit {
        let units = [("TiB", 0x1p40), ("GiB", 0x1p30), ("MiB", 0x1p20), ("KiB", 0x1p10)]
        return units.first { bytes >= $0.1 }.map { MemoryUnit(name: $0.0, bytes: $0.1) }
            ?? MemoryUnit(name: "bytes", bytes: 1)
    }
}
