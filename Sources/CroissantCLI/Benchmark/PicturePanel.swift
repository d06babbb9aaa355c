import Croissant
import Foundation
import GGUF

/// One diagram of a picture.
struct PicturePanel {
    let title: String
    let points: [BenchPicture.Point]
    /// The area within the axes.
    let box: PictureBox
    let style: PointStyle
    let memory: PictureAxis
    let budget: Int?

    private var budgetPosition: Double? { budget.map { memory.position(Double(max($0, 0))) } }

    /// Draws everything from the grid up to the labels.
    func draw(_ svg: inout SVGDocument) {
        let most = points.map { max($0.tokensPerSecond, $0.spread?.upperBound ?? 0) }.max() ?? 0
        // Some room above the highest point, for its label. Less than a thousandth is as good as nothing.
        let speed = PictureAxis(
            domain: 0...(most > 0 ? max(most, 0.001) * 1.12 : 1), pixels: (box.bottom, box.top), ticks: 5,
            unit: "tokens/s")
        let heading = SVGDocument.fitted(title, .panel, width: box.right - box.left - 100)
        svg.text("\(heading), tokens/s", at: (box.left, box.top - 14), .panel)
        drawGrid(&svg, speed)
        if let budgetPosition { svg.line((budgetPosition, box.top - 6), (budgetPosition, box.bottom), "budget") }
        let places = points.map { (x: memory.position(Double($0.bytes)), y: speed.position($0.tokensPerSecond)) }
        for (point, place) in zip(points, places) {
            guard let spread = point.spread else { continue }
            drawSpread(&svg, place.x, speed.position(spread.lowerBound), speed.position(spread.upperBound))
        }
        drawLabels(&svg, places, speed)
        for (point, place) in zip(points, places) {
            let tip =
                "\(point.label): \(point.tokensPerSecond.formatted(places: 2)) tokens/s, \(ByteCount(point.bytes))"
            svg.point(place, style, isHollow: budget.map { point.bytes > $0 } ?? false, tip: tip)
        }
        if points.isEmpty {
            svg.text("no measurements", at: ((box.left + box.right) / 2, (box.top + box.bottom) / 2), .axis, .middle)
        }
    }

    private func drawGrid(_ svg: inout SVGDocument, _ speed: PictureAxis) {
        if let budgetPosition {
            svg.rectangle(
                PictureBox(left: budgetPosition, top: box.top, right: box.right, bottom: box.bottom), fill: "#f5f5f5")
        }
        for tick in speed.ticks {
            let y = speed.position(inUnits: tick)
            svg.line((box.left, y), (box.right, y), "grid")
            svg.text(speed.text(tick), at: (box.left - 8, y + 4), .tick, .end)
        }
        for tick in memory.ticks {
            let x = memory.position(inUnits: tick)
            svg.line((x, box.top), (x, box.bottom), "grid")
            svg.line((x, box.bottom), (x, box.bottom + 4), "base")
            svg.text(memory.text(tick), at: (x, box.bottom + 18), .tick, .middle)
        }
        svg.line((box.left, box.bottom), (box.right, box.bottom), "base")
    }

    private func drawSpread(_ svg: inout SVGDocument, _ x: Double, _ low: Double, _ high: Double) {
        svg.line((x, low), (x, high), "spread", color: style.color)
        for y in [low, high] { svg.line((x - 4, y), (x + 4, y), "spread", color: style.color) }
    }

    private func drawLabels(_ svg: inout SVGDocument, _ places: [SVGDocument.Position], _ speed: PictureAxis) {
        let kind = SVGDocument.TextKind.label
        let lineHeight = kind.size + 3
        let groups = coinciding(places)
        let texts = points.map { SVGDocument.fitted($0.label, kind, width: 300) }
        let labels = groups.map { group in
            LabelPlacement.Label(
                point: places[group[0]], width: group.map { SVGDocument.width(texts[$0], kind) }.max() ?? 0,
                height: lineHeight * Double(group.count))
        }
        var obstacles = zip(points, places).compactMap { point, place in
            point.spread.map {
                PictureBox(
                    left: place.x - 5, top: speed.position($0.upperBound) - 1, right: place.x + 5,
                    bottom: speed.position($0.lowerBound) + 1)
            }
        }
        if let budgetPosition {
            obstacles.append(
                PictureBox(left: budgetPosition - 2, top: box.top, right: budgetPosition + 2, bottom: box.bottom))
        }
        let boxes = LabelPlacement(labels, in: box, avoiding: obstacles).boxes
        for (label, box) in zip(labels, boxes) {
            if let end = LabelPlacement.leaderEnd(label, box) { svg.line(label.point, end, "leader") }
        }
        for (group, box) in zip(groups, boxes) {
            // Towards the point, whatever width the font has.
            let (x, anchor): (Double, SVGDocument.Anchor) =
                switch places[group[0]].x {
                case ...box.left: (box.left, .start)
                case box.right...: (box.right, .end)
                default: ((box.left + box.right) / 2, .middle)
                }
            for (line, index) in group.enumerated() {
                svg.text(texts[index], at: (x, box.top + lineHeight * Double(line + 1) - 4), kind, anchor)
            }
        }
    }

    /// The indices of points that lie on each other, which share a label of as many lines; of eight at the most.
    private func coinciding(_ places: [SVGDocument.Position]) -> [[Int]] {
        var groups: [[Int]] = []
        for (index, place) in places.enumerated() {
            let group = groups.firstIndex {
                let other = places[$0[0]]
                return abs(other.x - place.x) < 1 && abs(other.y - place.y) < 1 && $0.count < 8
            }
            if let group { groups[group].append(index) } else { groups.append([index]) }
        }
        return groups
    }
}
