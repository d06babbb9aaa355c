import GGUF

/// A regular expression that is looked for in the names of tensors.
///
/// It has what such expressions are made of everywhere: characters, `.`, `[a-z]`, `[^…]`, `\\d`, `\\w`, `\\s`, groups,
/// `|`, `*`, `+`, `?`, `{2,3}`, `^`, `$`; upper and lower case are the same. It has nothing that only backtracking can
/// find, for which others need a time that is exponential in the length of the name: here it is proportional to the
/// lengths of both (Thompson, "Regular Expression Search Algorithm", 1968).
package struct NamePattern: Sendable {
    /// A step of the way through an expression.
    fileprivate enum Step {
        /// One character of a set, or of all others.
        case character(CharacterSet)
        /// Go on at both places.
        case split(Int, Int)
        /// The start of the name.
        case start
        /// The end of the name.
        case end
    }

    /// Characters, by ranges of their code points.
    fileprivate struct CharacterSet {
        var ranges: [ClosedRange<UInt32>] = []
        var isInverted = false

        static let all = CharacterSet(isInverted: true)
        /// By the letter that stands for them behind a backslash.
        static let named: [Unicode.Scalar: [ClosedRange<UInt32>]] = [
            "d": [0x30...0x39], "w": [0x30...0x39, 0x61...0x7A, 0x5F...0x5F], "s": [0x09...0x0D, 0x20...0x20],
        ]

        init(ranges: [ClosedRange<UInt32>] = [], isInverted: Bool = false) {
            self.ranges = ranges
            self.isInverted = isInverted
        }

        /// One character, in either case.
        init(_ scalar: Unicode.Scalar) { ranges = [scalar.lowered.value...scalar.lowered.value] }

        func contains(_ scalar: Unicode.Scalar) -> Bool {
            ranges.contains { $0.contains(scalar.value) } != isInverted
        }
    }

    /// The steps, in the order of the expression; whoever comes to their end has found it.
    private let steps: [Step]

    /// Steps that an expression may have; `{n}` repeats those of what is before it. Names have 64 characters.
    private static let stepLimit = 1000
    /// Groups nest at most this deep: the parser calls itself.
    private static let nestingLimit = 64

    /// Reads an expression.
    ///
    /// - Throws: ``ModelError/invalidOption(name:value:expected:)`` for what is none, or has what is not known here.
    package init(_ text: String) throws(ModelError) {
        var parser = Parser(text)
        steps = try parser.all()
    }

    /// Whether the expression matches some part of a name.
    package func isFound(in name: String) -> Bool {
        let scalars = name.unicodeScalars.map(\.lowered)
        var places = Places(count: steps.count)
        for position in 0...scalars.count {
            let before = places
            places.removeAll()
            let isEnd = position == scalars.count
            // A match may begin here; those that have begun take the character before.
            if reach(0, &places, isStart: position == 0, isEnd: isEnd) { return true }
            guard position > 0 else { continue }
            for place in before.list {
                guard case .character(let set) = steps[place], set.contains(scalars[position - 1]) else { continue }
                if reach(place + 1, &places, isStart: false, isEnd: isEnd) { return true }
            }
        }
        return false
    }

    /// Steps that matching has come to, each once.
    private struct Places {
        private(set) var list: [Int] = []
        private var isListed: [Bool]

        init(count: Int) { isListed = Array(repeating: false, count: count) }

        mutating func insert(_ place: Int) -> Bool {
            guard !isListed[place] else { return false }
            isListed[place] = true
            list.append(place)
            return true
        }

        mutating func removeAll() {
            for place in list { isListed[place] = false }
            list.removeAll(keepingCapacity: true)
        }
    }

    /// Adds a step, and those that follow without a character. Returns whether the end is among them.
    private func reach(_ first: Int, _ places: inout Places, isStart: Bool, isEnd: Bool) -> Bool {
        var waiting = [first]
        while let place = waiting.popLast() {
            guard place < steps.count else { return true }
            guard places.insert(place) else { continue }
            switch steps[place] {
            case .character: break
            case .split(let one, let other): waiting += [one, other]
            case .start: if isStart { waiting.append(place + 1) }
            case .end: if isEnd { waiting.append(place + 1) }
            }
        }
        return false
    }
}

extension NamePattern {
    /// Reads an expression from left to right. Steps are placed relative to the first of their part, so that parts can be
    /// repeated and moved.
    private struct Parser {
        private let text: String
        private let scalars: [Unicode.Scalar]
        private var position = 0
        private var depth = 0

        init(_ text: String) {
            self.text = text
            scalars = Array(text.unicodeScalars)
        }

        private var next: Unicode.Scalar? { position < scalars.count ? scalars[position] : nil }

        private func error(_ expected: String) -> ModelError {
            .invalidOption(name: "tensor-type", value: text.quoted, expected: expected)
        }

        private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
            guard next == scalar else { return false }
            position += 1
            return true
        }

        mutating func all() throws(ModelError) -> [Step] {
            let steps = try alternatives()
            guard next == nil else { throw error("a regular expression with as many '(' as ')'") }
            return steps
        }

        private func checkLength(_ steps: [Step]) throws(ModelError) {
            guard steps.count <= NamePattern.stepLimit else { throw error("a shorter regular expression") }
        }

        private mutating func alternatives() throws(ModelError) -> [Step] {
            var steps = try sequence()
            while take("|") {
                let other = try sequence()
                // Both begin here; the first goes around the other, by a choice of one.
                steps = [.split(1, steps.count + 2)] + steps.moved(by: 1)
                let end = steps.count + 1 + other.count
                steps += [.split(end, end)] + other.moved(by: steps.count + 1)
                try checkLength(steps)
            }
            return steps
        }

        private mutating func sequence() throws(ModelError) -> [Step] {
            var steps: [Step] = []
            while let scalar = next, scalar != "|", scalar != ")" {
                let part = try repeated(try atom())
                steps += part.moved(by: steps.count)
                try checkLength(steps)
            }
            return steps
        }

        private mutating func atom() throws(ModelError) -> [Step] {
            guard let scalar = next else { return [] }
            position += 1
            switch scalar {
            case ".": return [.character(.all)]
            case "^": return [.start]
            case "$": return [.end]
            case "[": return [.character(try set())]
            case "\\": return [.character(try escape())]
            case "(":
                if take("?"), !take(":") { throw error("a regular expression without '(?' but for '(?:'") }
                depth += 1
                guard depth <= NamePattern.nestingLimit else {
                    throw error("at most \(NamePattern.nestingLimit) groups in each other")
                }
                let steps = try alternatives()
                depth -= 1
                guard take(")") else { throw error("a regular expression with as many '(' as ')'") }
                return steps
            case "*", "+", "?", "{": throw error("a regular expression with something in front of '\(scalar)'")
            default: return [.character(CharacterSet(scalar))]
            }
        }

        /// What stands behind a backslash: a kind of character, or one as it is.
        private mutating func escape() throws(ModelError) -> CharacterSet {
            guard let scalar = next else { throw error("a regular expression with something behind '\\'") }
            position += 1
            if let ranges = CharacterSet.named[scalar.lowered] {
                return CharacterSet(ranges: ranges, isInverted: scalar != scalar.lowered)
            }
            guard !scalar.properties.isAlphabetic, !("0"..."9").contains(scalar) else {
                throw error("a regular expression without '\\\(scalar)'")
            }
            return CharacterSet(scalar)
        }

        /// The set whose bracket has been read.
        private mutating func set() throws(ModelError) -> CharacterSet {
            var set = CharacterSet(isInverted: take("^"))
            var isFirst = true
            while let scalar = next {
                position += 1
                if scalar == "]", !isFirst { return set }
                isFirst = false
                if scalar == "\\" {
                    let escaped = try escape()
                    guard !escaped.isInverted else { throw error("no '\\D', '\\W' or '\\S' in '[]'") }
                    set.ranges += escaped.ranges
                } else if next == "-", position + 1 < scalars.count, scalars[position + 1] != "]" {
                    let (first, last) = (scalar.lowered, scalars[position + 1].lowered)
                    position += 2
                    guard first <= last, last != "\\" else { throw error("ranges such as a-z in '[]'") }
                    set.ranges.append(first.value...last.value)
                } else {
                    set.ranges += CharacterSet(scalar).ranges
                }
            }
            throw error("a regular expression with as many '[' as ']'")
        }

        /// A part as often as what follows it says.
        private mutating func repeated(_ part: [Step]) throws(ModelError) -> [Step] {
            var steps = part
            while let scalar = next {
                switch scalar {
                case "*": steps = steps.optional(isEndless: true)
                case "+": steps.append(.split(0, steps.count + 1))
                case "?": steps = steps.optional(isEndless: false)
                case "{": steps = try counted(steps)
                default: return steps
                }
                if scalar != "{" { position += 1 }
                try checkLength(steps)
            }
            return steps
        }

        /// A part as often as `{2}`, `{2,}` or `{2,3}` say.
        private mutating func counted(_ part: [Step]) throws(ModelError) -> [Step] {
            position += 1
            let least = number()
            let most = take(",") ? number() : least
            let isEndless = most == nil && position > 0 && scalars[position - 1] == ","
            guard let least, take("}"), isEndless || most ?? -1 >= least, max(least, most ?? 0) <= 100 else {
                throw error("counts such as {2}, {2,} or {2,3}, up to 100")
            }
            var steps: [Step] = []
            for _ in 0..<least { steps += part.moved(by: steps.count) }
            if isEndless { return steps + part.optional(isEndless: true).moved(by: steps.count) }
            for _ in least..<(most ?? least) { steps += part.optional(isEndless: false).moved(by: steps.count) }
            return steps
        }

        private mutating func number() -> Int? {
            var digits = ""
            while let scalar = next, ("0"..."9").contains(scalar), digits.utf8.count < 4 {
                digits.unicodeScalars.append(scalar)
                position += 1
            }
            return Int(digits)
        }
    }
}

extension Unicode.Scalar {
    /// In lower case, where that is one character.
    fileprivate var lowered: Unicode.Scalar {
        let mapping = properties.lowercaseMapping.unicodeScalars
        return mapping.count == 1 ? mapping.first ?? self : self
    }
}

extension [NamePattern.Step] {
    /// The same steps, `distance` further on.
    fileprivate func moved(by distance: Int) -> [NamePattern.Step] {
        map { step in
            if case .split(let one, let other) = step { return .split(one + distance, other + distance) }
            return step
        }
    }

    /// The same steps, or none of them; again and again where that is endless.
    fileprivate func optional(isEndless: Bool) -> [NamePattern.Step] {
        let end = count + (isEndless ? 2 : 1)
        return [.split(1, end)] + moved(by: 1) + (isEndless ? [.split(0, 0)] : [])
    }
}
