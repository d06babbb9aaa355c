import CroissantCLI
import Foundation
import Testing

#if canImport(FoundationXML)
import FoundationXML
#endif

@Suite("Pictures of benchmarks: valid, complete and legible")
struct BenchPictureTests {
    private static func point(_ label: String, _ gibibytes: Double, _ speed: Double) -> BenchPicture.Point {
        BenchPicture.Point(
            label: label, bytes: Int(gibibytes * 0x1p30), tokensPerSecond: speed,
            spread: speed * 0.95...speed * 1.02)
    }

    private static func picture(_ points: [BenchPicture.Point], budget: Int? = nil) -> BenchPicture {
        BenchPicture(title: "Speed", panels: [.init(title: "tg128", points: points)], budget: budget)
    }

    private static let types = [
        point("Q4_0", 0.90, 47), point("Q4_K_M", 0.97, 43), point("Q5_0", 1.06, 40), point("Q8_0", 1.52, 27),
    ]

    /// Pictures that are unlike each other.
    static let pictures: [(name: String, picture: BenchPicture)] = [
        ("types", picture(types, budget: 5 << 28)),
        (
            "two panels",
            BenchPicture(
                title: "Both",
                panels: [.init(title: "prompt", points: types), .init(title: "generation", points: types)])
        ),
        ("one", picture([point("Q4_0", 1, 47)])),
        ("none", picture([], budget: 1 << 30)),
        ("no panel", BenchPicture(title: "Empty", panels: [])),
        ("forty equal", picture((0..<40).map { point("type \($0)", 1, 47) })),
        ("forty", picture((0..<40).map { point("type \($0)", 1 + Double($0 % 7) / 10, 30 + Double($0 % 11)) })),
        ("tiny", picture([.init(label: "tiny", bytes: 1, tokensPerSecond: 1e-9)], budget: 0)),
        (
            "huge",
            picture(
                [
                    .init(label: "huge", bytes: .max, tokensPerSecond: 1e12),
                    .init(label: "small", bytes: 1 << 20, tokensPerSecond: 1),
                ], budget: .max)
        ),
        ("far budget", picture(types, budget: 1 << 42)),
        ("zero", picture([.init(label: "zero", bytes: 0, tokensPerSecond: 0, spread: 0...0)])),
        ("long", picture([point(String(repeating: "wide", count: 100), 1, 47)])),
    ]

    @Test("XML is well-formed, and everything is within the picture", arguments: pictures.map(\.name))
    func coordinates(name: String) throws {
        let picture = try #require(Self.pictures.first { $0.name == name }).picture
        let document = try SVGElements(picture.svg())
        let size = try #require(document.elements.first { $0.name == "svg" }?.attributes)
        let (width, height) = (Double(size["width"] ?? "") ?? 0, Double(size["height"] ?? "") ?? 0)
        #expect(size["viewBox"] == "0 0 \(size["width"] ?? "") \(size["height"] ?? "")")
        for element in document.elements {
            for (keys, range) in [(["x", "x1", "x2", "cx"], 0...width), (["y", "y1", "y2", "cy"], 0...height)] {
                for text in keys.compactMap({ element.attributes[$0] }) {
                    let value = try #require(Double(text), "\(element)")
                    #expect(range.contains(value), "\(element)")
                }
            }
        }
    }

    @Test("Every label is there", arguments: ["types", "two panels", "one", "forty equal", "forty", "tiny", "huge"])
    func labels(name: String) throws {
        let picture = try #require(Self.pictures.first { $0.name == name }).picture
        let texts = try SVGElements(picture.svg()).elements.filter { $0.attributes["class"] == "label" }.map(\.text)
        #expect(texts.sorted() == picture.panels.flatMap(\.points).map(\.label).sorted())
    }

    @Test("The budget is a line in each panel, and one in the legend, only where there is one")
    func budget() throws {
        func count(_ picture: BenchPicture) throws -> Int {
            try SVGElements(picture.svg()).elements.filter { $0.attributes["class"] == "budget" }.count
        }
        #expect(try count(Self.picture(Self.types)) == 0)
        #expect(try count(Self.picture(Self.types, budget: 1 << 30)) == 2)
        let panels = ["a", "b"].map { BenchPicture.Panel(title: $0, points: Self.types) }
        #expect(try count(BenchPicture(title: "", panels: panels, budget: 1 << 30)) == 3)
    }

    @Test("Texts out of files are escaped")
    func escaping() throws {
        let label = "a<b>&\"c'\u{1}\u{FFFF}"
        let picture = BenchPicture(
            title: label, panels: [.init(title: label, points: [Self.point(label, 1, 1)])], budget: nil)
        let texts = try SVGElements(picture.svg()).elements.map(\.text)
        #expect(texts.contains("a<b>&\"c'\\u{1}\\u{ffff}"))
    }

    @Test("Points that cannot be drawn are left out")
    func undrawable() throws {
        let speeds = [Double.nan, .infinity, -1, 5]
        let points = speeds.map { BenchPicture.Point(label: "\($0)", bytes: 1 << 30, tokensPerSecond: $0) }
        let elements = try SVGElements(Self.picture(points).svg()).elements
        #expect(elements.filter { $0.attributes["class"] == "label" }.map(\.text) == ["5.0"])
    }

    @Test("Labels cover neither each other nor points", arguments: [1, 4, 12, 40])
    func placement(count: Int) {
        // Along a line, ten pixels apart: closer than labels are wide or high.
        let labels = (0..<count).map { index in
            LabelPlacement.Label(
                point: (x: 200 + Double(index) * 10, y: 100 + Double(index) * 6), width: 60, height: 15)
        }
        let area = PictureBox(left: 70, top: 0, right: 930, bottom: 480)
        let boxes = LabelPlacement(labels, in: area, avoiding: []).boxes
        #expect(boxes.count == count)
        for (index, box) in boxes.enumerated() {
            #expect(
                box.left >= area.left && box.right <= area.right && box.top >= area.top && box.bottom <= area.bottom)
            #expect(boxes[..<index].allSatisfy { $0.overlap(box) == 0 })
            for label in labels {
                let point = PictureBox(
                    left: label.point.x, top: label.point.y, right: label.point.x, bottom: label.point.y)
                #expect(point.grown(by: 5).overlap(box) == 0)
            }
        }
    }

    @Test(
        "Ticks are round numbers within the domain",
        arguments: [
            (0.0, 267.0, ["0", "50", "100", "150", "200", "250"]), (0.45, 2.9, ["0.5", "1.0", "1.5", "2.0", "2.5"]),
            (0, 1, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
            (0.998, 1.002, ["0.998", "0.999", "1.000", "1.001", "1.002"]),
            (0, 2.1e6, ["0", "500.0 K", "1.00 M", "1.50 M", "2.00 M"]),
        ])
    func ticks(low: Double, high: Double, texts: [String]) {
        let axis = PictureAxis(domain: low...high, pixels: (0, 100), ticks: 5, unit: "")
        #expect(axis.ticks.map(axis.text) == texts)
        #expect(axis.position(low) == 0 && axis.position(high) == 100)
    }
}

/// The elements of a document that is well-formed.
private final class SVGElements: NSObject, XMLParserDelegate {
    struct Element {
        let name: String
        let attributes: [String: String]
        var text = ""
    }

    /// In the order of their beginnings.
    private(set) var elements: [Element] = []
    private var open: [Int] = []

    init(_ svg: String) throws {
        super.init()
        let parser = XMLParser(data: Data(svg.utf8))
        parser.delegate = self
        let isWellFormed = parser.parse()
        try #require(isWellFormed, "\(String(describing: parser.parserError)): \(svg)")
    }

    func parser(
        _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
        attributes: [String: String]
    ) {
        open.append(elements.count)
        elements.append(Element(name: name, attributes: attributes))
    }

    func parser(_ parser: XMLParser, foundCharacters text: String) {
        if let index = open.last { elements[index].text += text }
    }

    func parser(_ parser: XMLParser, didEndElement name: String, namespaceURI: String?, qualifiedName: String?) {
        open.removeLast()
    }
}
