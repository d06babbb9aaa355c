import Foundation

/// Finds a place for the label of each point, close to it, where it covers neither other labels nor points.
///
/// Each label is tried at some hundred places around its point, and takes the cheapest; when all have one, each is tried
/// again, given the places of all others, a few times over (local search, as in Christensen, Marks and Shieber, "An
/// empirical study of algorithms for point-feature label placement", ACM Transactions on Graphics 14, 1995). It takes
/// time with the square of the number of labels.
package struct LabelPlacement {
    /// What is to be placed.
    package struct Label {
        /// What it labels.
        package let point: (x: Double, y: Double)
        package let width: Double
        package let height: Double

        package init(point: (x: Double, y: Double), width: Double, height: Double) {
            self.point = point
            self.width = width
            self.height = height
        }
    }

    /// Where each label came to lie.
    package private(set) var boxes: [PictureBox]

    private let area: PictureBox
    private let obstacles: [PictureBox]
    private let points: [PictureBox]

    /// Half the size of a point, and what a label keeps from it.
    private static let radius = 6.0
    /// What labels keep from each other.
    private static let gap = 1.5
    private static let rounds = 8

    /// Places labels within `area`; rather not on `obstacles`, which are lines and the like.
    package init(_ labels: [Label], in area: PictureBox, avoiding obstacles: [PictureBox]) {
        self.area = area
        self.obstacles = obstacles
        points = labels.map {
            PictureBox(left: $0.point.x, top: $0.point.y, right: $0.point.x, bottom: $0.point.y).grown(by: Self.radius)
        }
        var placed: [PictureBox?] = labels.map { _ in nil }
        // From left to right, so that neighbours follow each other.
        let order = labels.indices.sorted {
            (labels[$0].point.x, labels[$0].point.y) < (labels[$1].point.x, labels[$1].point.y)
        }
        boxes = []
        for _ in 0..<Self.rounds {
            let before = placed
            for index in order {
                placed[index] = nil
                let others = zip(labels, placed).compactMap { label, box in
                    box.map { (box: $0, leader: Self.leader(label, $0)) }
                }
                placed[index] = bestPlace(labels[index], others)
            }
            if placed == before { break }
        }
        boxes = placed.compactMap { $0 }
    }

    private typealias Line = (from: (x: Double, y: Double), to: (x: Double, y: Double))
    private typealias Placed = (box: PictureBox, leader: Line?)

    private func bestPlace(_ label: Label, _ others: [Placed]) -> PictureBox? {
        var best: (box: PictureBox, cost: Double)?
        for (box, distance) in Self.candidates(label) {
            // They come in the order of their distance: no later one can be better.
            if let best, distance >= best.cost { break }
            if let total = cost(label, box, others, from: distance, below: best?.cost ?? .infinity) {
                best = (box, total)
            }
        }
        return best?.box
    }

    /// Places for a label, and how far from ideal each is by itself.
    private static func candidates(_ label: Label) -> [(PictureBox, Double)] {
        func box(_ x: Double, _ y: Double) -> PictureBox {
            PictureBox(
                left: x - label.width / 2, top: y - label.height / 2, right: x + label.width / 2,
                bottom: y + label.height / 2)
        }
        let (x, y) = (label.point.x, label.point.y)
        let (aside, above) = (radius + 3 + label.width / 2, radius + 1 + label.height / 2)
        var candidates = [
            (box(x + aside, y), 0.0), (box(x, y - above), 1), (box(x - aside, y), 2), (box(x, y + above), 3),
            (box(x + aside - 3, y - above + 4), 4), (box(x + aside - 3, y + above - 4), 5),
            (box(x - aside + 3, y - above + 4), 6), (box(x - aside + 3, y + above - 4), 7),
        ]
        // Farther away, around the label's own size, so that long labels need not go far to clear the point.
        for distance in stride(from: 12.0, through: 420, by: 12) {
            for step in 0..<32 {
                let angle = Double(step) * .pi / 16
                let place = box(x + (aside + distance) * cos(angle), y + (above + distance) * sin(angle))
                candidates.append((place, 10 + distance / 2))
            }
        }
        return candidates
    }

    /// What a place costs, most for what cannot be read, less for what is only unsightly; nil where `limit` is reached.
    private func cost(
        _ label: Label, _ box: PictureBox, _ others: [Placed], from start: Double, below limit: Double
    ) -> Double? {
        let outside = (box.right - box.left) * (box.bottom - box.top) - box.overlap(area)
        var cost = start + (outside > 1e-6 ? 1e5 + outside : 0)
        let leader = Self.leader(label, box)
        let grown = box.grown(by: Self.gap)
        for other in others where cost < limit {
            let overlap = grown.overlap(other.box)
            if overlap > 0 { cost += 1e4 + overlap }
            if let line = other.leader, Self.crosses(line, grown) { cost += 600 }
            if let leader, Self.crosses(leader, other.box) { cost += 600 }
            if let leader, let line = other.leader, Self.cross(leader, line) { cost += 60 }
        }
        for point in points where cost < limit {
            if box.overlap(point) > 0 { cost += 400 }
            // A line begins at its own point, and at those that lie on it.
            let isOwn = abs(point.left + Self.radius - label.point.x) + abs(point.top + Self.radius - label.point.y) < 2
            if let leader, !isOwn, Self.crosses(leader, point) { cost += 80 }
        }
        for obstacle in obstacles where cost < limit {
            if box.overlap(obstacle) > 0 { cost += 40 }
            if let leader, Self.crosses(leader, obstacle) { cost += 15 }
        }
        return cost < limit ? cost : nil
    }

    /// Where a line from the point meets its label; nil where the label is so close that none is needed.
    package static func leaderEnd(_ label: Label, _ box: PictureBox) -> (x: Double, y: Double)? {
        let end = (x: min(max(label.point.x, box.left), box.right), y: min(max(label.point.y, box.top), box.bottom))
        let (width, height) = (end.x - label.point.x, end.y - label.point.y)
        return (width * width + height * height).squareRoot() > 14 ? end : nil
    }

    private static func leader(_ label: Label, _ box: PictureBox) -> Line? {
        leaderEnd(label, box).map { (label.point, $0) }
    }

    /// Whether a line passes through a box (Liang and Barsky, ACM Transactions on Graphics 3, 1984).
    private static func crosses(_ line: Line, _ box: PictureBox) -> Bool {
        var (enters, leaves) = (0.0, 1.0)
        let (width, height) = (line.to.x - line.from.x, line.to.y - line.from.y)
        // False where the line is beyond one side of the box.
        func clip(_ step: Double, _ distance: Double) -> Bool {
            if step == 0 { return distance > 0 }
            if step < 0 { enters = max(enters, distance / step) } else { leaves = min(leaves, distance / step) }
            return enters < leaves
        }
        return clip(-width, line.from.x - box.left) && clip(width, box.right - line.from.x)
            && clip(-height, line.from.y - box.top) && clip(height, box.bottom - line.from.y)
    }

    /// Whether two lines cross each other.
    private static func cross(_ a: Line, _ b: Line) -> Bool {
        func side(_ line: Line, _ point: (x: Double, y: Double)) -> Double {
            (line.to.x - line.from.x) * (point.y - line.from.y) - (line.to.y - line.from.y) * (point.x - line.from.x)
        }
        return side(a, b.from) * side(a, b.to) < 0 && side(b, a.from) * side(b, a.to) < 0
    }
}
