import GGUF

extension ModelError {
    /// A weight that a type cannot be made of: it is no number, or too large.
    ///
    /// - Parameter index: where it is in the tensor, as the tensor is stored.
    static func badWeight(_ value: Float, at index: Int, of tensor: String, for type: GGMLType) -> ModelError {
        let limit = Kernels.quantizerLimit(type)
        return .invalidWeight(
            tensor: tensor, index: index, value: value.isNaN ? "NaN" : "\(value)",
            expected: limit == .greatestFiniteMagnitude
                ? "a finite number" : "a magnitude up to \(limit) for \(type.name)")
    }
}

extension Kernels {
    /// Throws where `values`, those of a tensor from element `start` on, have one that `type` cannot be made of.
    func check(_ values: Span<Float>, of tensor: String, at start: Int, as type: GGMLType) throws(ModelError) {
        guard let bad = firstValue(in: values, beyond: type) else { return }
        throw .badWeight(values[bad], at: start + bad, of: tensor, for: type)
    }
}
