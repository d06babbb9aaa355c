public import GGUF

/// Everything that is wrong with a model file, or will surprise those who use it.
///
/// The file is looked at as deeply as loading does, and deeper: every value of every tensor is read, and all that is
/// wrong is found, not only the first thing.
///
/// ```swift
/// let check = try ModelCheck(GGUFFile(path: "model.gguf"))
/// for finding in check.findings { print(finding.severity, finding.message, finding.remedy ?? "") }
/// ```
public struct ModelCheck: Sendable {
    /// What was found, errors first.
    public let findings: [Finding]
    /// Tensors whose values were all read.
    public let scannedTensors: Int
    /// Whether the check came to its end.
    public let isComplete: Bool

    /// One thing that was found.
    public struct Finding: Sendable, Equatable {
        /// How bad it is.
        public let severity: Severity
        /// What it is about.
        public let kind: Kind
        /// The tensor or metadata key, where there is one.
        public let subject: String?
        /// One line: what is wrong, and where.
        public let message: String
        /// What can be done about it, where there is something.
        public let remedy: String?
    }

    /// How bad a finding is.
    public enum Severity: String, Sendable, CaseIterable {
        /// The model cannot be run, or gives nonsense.
        case error
        /// Results may not be those that the model's authors have.
        case warning
        /// Worth knowing.
        case note
    }

    /// What a finding is about.
    public enum Kind: String, Sendable, CaseIterable {
        /// Sizes or other metadata that no model has.
        case metadata
        /// A tensor is missing.
        case missingTensor
        /// A tensor has the wrong shape.
        case wrongShape
        /// A tensor has a type that cannot be computed with.
        case unsupportedType
        /// A tensor has no place in the model.
        case unexpectedTensor
        /// Values that are no number, or infinite.
        case notFinite
        /// A tensor of zeros.
        case allZero
        /// A factor of RoPE that is not above zero.
        case invalidFactor
        /// The vocabulary.
        case tokenizer
        /// Rows that the types of the file's own recipe do not fit.
        case mixedTypes
        /// Characters that no token expresses.
        case byteTokens
        /// Scores that do not say in which order tokens merge.
        case mergeOrder
        /// Normalisation of text that the file does not ask for.
        case normalization
        /// The token that ends an answer.
        case endOfGeneration
        /// The length of the context.
        case contextLength
    }

    /// The number of findings of `severity`.
    public func count(_ severity: Severity) -> Int { findings.count { $0.severity == severity } }

    /// Checks an open file.
    ///
    /// - Parameters:
    ///   - file: the file; what is wrong with it becomes findings.
    ///   - threads: threads that read tensors, 1 to 512; one for each physical core when nil.
    ///   - progress: called now and then with the bytes of tensors that were read; returning false stops.
    /// - Throws: ``ModelError/invalidOption(name:value:expected:)`` for a number of threads that makes no sense,
    ///   ``ModelError/outOfMemory(bytes:purpose:)`` where there is no room for what they read. Nothing about the file
    ///   is thrown.
    public init(
        _ file: GGUFFile, threads: Int? = nil, progress: ((Int) -> Bool)? = nil
    ) throws(ModelError) {
        let threads = try HostProcessors.threads(threads)
        var findings: [Finding] = []
        let configuration = Self.configuration(of: file, &findings)
        if let configuration { findings += TensorLayout(configuration).problems(in: file).map(Finding.init) }
        findings += (configuration?.unknownKeys ?? []).map { key in
            Finding(
                .warning, .metadata, key, "unknown key: \(key.escaped) is ignored",
                remedy: "compare a text with the program that wrote the file")
        }
        let tokenizer = Self.tokenizer(of: file, configuration, &findings)

        let scan = try TensorScan(file, threads: threads).run(progress: progress)
        for (tensor, tally) in zip(file.tensors, scan.tallies) {
            if let tally, let finding = Finding(tensor, tally) { findings.append(finding) }
        }
        if let configuration { findings += Self.factors(of: file, configuration) }
        findings += CommunityFile(file: file, configuration: configuration, tokenizer: tokenizer).findings
        self.findings = Severity.allCases.flatMap { severity in findings.filter { $0.severity == severity } }
        isComplete = scan.isComplete
        scannedTensors = scan.tallies.count { $0 != nil }
    }

    private static func configuration(of file: GGUFFile, _ findings: inout [Finding]) -> ModelConfiguration? {
        do throws(ModelError) { return try ModelConfiguration(file: file) } catch {
            findings.append(Finding(error))
            return nil
        }
    }

    private static func tokenizer(
        of file: GGUFFile, _ configuration: ModelConfiguration?, _ findings: inout [Finding]
    ) -> Tokenizer? {
        do throws(ModelError) {
            let tokenizer = try Model.tokenizer(of: file, vocabularySize: configuration?.vocabularySize ?? .max)
            if tokenizer == nil {
                findings.append(
                    Finding(
                        .warning, .tokenizer, "tokenizer.ggml.model",
                        "no tokenizer: the file holds no vocabulary, so it takes token ids only",
                        remedy: "convert the model again with its tokenizer beside it"))
            }
            return tokenizer
        } catch {
            findings.append(Finding(error))
            return nil
        }
    }

    /// Factors that loading refuses, although they are numbers.
    private static func factors(of file: GGUFFile, _ configuration: ModelConfiguration) -> [Finding] {
        let expected = TensorLayout(configuration).ropeFactors
        guard let tensor = file.tensor(named: expected.name), tensor.dimensions == expected.dimensions,
            Kernels.canCompute(tensor.type)
        else { return [] }
        var factors = [Float](repeating: 0, count: tensor.columns)
        var span = factors.mutableSpan
        Kernels(.scalar).dequantize(file.bytes(of: tensor), as: tensor.type, count: tensor.columns, into: &span)
        guard let index = factors.firstIndex(where: { $0 <= 0 }) else { return [] }
        return [
            Finding(
                ModelError.invalidWeight(
                    tensor: tensor.name, index: index, value: "\(factors[index])", expected: "a finite number above 0"))
        ]
    }
}

extension ModelCheck.Finding {
    /// A finding with its parts.
    init(
        _ severity: ModelCheck.Severity, _ kind: ModelCheck.Kind, _ subject: String?, _ message: String, remedy: String?
    ) {
        self.severity = severity
        self.kind = kind
        self.subject = subject
        self.message = message
        self.remedy = remedy
    }

    /// What loading would refuse.
    fileprivate init(_ error: ModelError) {
        let again = "convert the model again with a current converter"
        let kind: ModelCheck.Kind
        var subject: String?
        var remedy: String?
        switch error {
        case .missingTensor(let name, _):
            (kind, subject) = (.missingTensor, name)
            remedy = "a part of the model was lost: \(again), or download the file again"
        case .unexpectedTensor(let name):
            (kind, subject) = (.unexpectedTensor, name)
            remedy = "the model does more than general.architecture says: this program would leave it out"
        case .wrongShape(let name, _, _):
            (kind, subject) = (.wrongShape, name)
            remedy = "metadata and tensors are those of different models: \(again)"
        case .unsupportedType(let name, _, _):
            (kind, subject) = (.unsupportedType, name)
            remedy = "quantise the model again, in one of these types"
        case .invalidWeight(let name, _, _, _):
            (kind, subject) = (.invalidFactor, name)
            remedy = again
        case .tokenizer(let error): (kind, remedy) = (.tokenizer, error.hint ?? again)
        case .invalidHyperparameter(let key, _, _):
            (kind, subject) = (key.hasPrefix("tokenizer.") ? .tokenizer : .metadata, key)
            remedy = again
        case .unsupportedArchitecture: (kind, subject) = (.metadata, "general.architecture")
        case .unsupportedFeature(_, let key, _): (kind, subject) = (.metadata, key)
        default: (kind, remedy) = (.metadata, error.hint ?? again)
        }
        self.init(.error, kind, subject, "\(error)", remedy: remedy)
    }

    /// What is wrong with the values of a tensor, if anything is.
    fileprivate init?(_ tensor: TensorInfo, _ tally: TensorTally) {
        let name = tensor.name.escaped
        if tally.hasBadValues {
            let parts = [(tally.notANumber, "NaN"), (tally.infinite, "infinite")].filter { $0.0 > 0 }
            let (row, column) = tally.firstIndex.quotientAndRemainder(dividingBy: tensor.columns)
            self.init(
                .error, .notFinite, tensor.name,
                "not finite: \(name) (\(parts.map { "\($0.0) \($0.1)" }.joined(separator: " and ")) of "
                    + "\(tensor.elementCount) values, the first at row \(row), column \(column))",
                remedy: "the file is damaged, or was converted from damaged weights: download or convert it again")
        } else if tally.largest == 0 {
            self.init(
                .warning, .allZero, tensor.name, "all zero: \(name) (\(tensor.elementCount) values)",
                remedy: "a model is hardly trained to this: download or convert the file again")
        } else {
            return nil
        }
    }
}
