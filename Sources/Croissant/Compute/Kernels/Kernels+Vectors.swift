internal import CKernels

/// Vectors of floats: activations on their way through the model.
extension Kernels {
    // MARK: Activations

    /// Rounds activations to int8 in blocks of 32 with a float scale each.
    func quantize(
        _ x: Span<Float>, values: inout MutableSpan<Int8>, scales: inout MutableSpan<Float>,
        sums: inout MutableSpan<Int32>
    ) {
        unsafe Self.quantize(x, by: vector.quantize_int8, values: &values, scales: &scales, sums: &sums)
    }

    /// Rounds activations to int16 in blocks of 32 with a float scale each.
    func quantize(
        _ x: Span<Float>, values: inout MutableSpan<Int16>, scales: inout MutableSpan<Float>,
        sums: inout MutableSpan<Int32>
    ) {
        unsafe Self.quantize(x, by: vector.quantize_int16, values: &values, scales: &scales, sums: &sums)
    }

    /// The C functions that round activations to integers.
    private typealias Rounding<Value> = (
        UnsafePointer<Float>?, Int, UnsafeMutablePointer<Value>?, UnsafeMutablePointer<Float>?,
        UnsafeMutablePointer<Int32>?
    ) -> Void

    private static func quantize<Value>(
        _ x: Span<Float>, by round: Rounding<Value>, values: inout MutableSpan<Value>,
        scales: inout MutableSpan<Float>, sums: inout MutableSpan<Int32>
    ) {
        precondition(x.count % Int(CK_SCALE_COLUMNS) == 0, "\(x.count) activations are not whole blocks")
        precondition(
            values.count >= x.count && scales.count >= x.count / Int(CK_SCALE_COLUMNS)
                && sums.count >= x.count / Int(CK_SUM_COLUMNS),
            "\(x.count) activations do not fit")
        unsafe x.withUnsafeBufferPointer { x in
            unsafe values.withUnsafeMutableBufferPointer { values in
                unsafe scales.withUnsafeMutableBufferPointer { scales in
                    unsafe sums.withUnsafeMutableBufferPointer { sums in
                        unsafe round(
                            x.baseAddress, x.count, values.baseAddress, scales.baseAddress, sums.baseAddress)
                    }
                }
            }
        }
    }

    // MARK: Vectors

    /// out = x * weight / sqrt(mean(x²) + epsilon): RMSNorm (arXiv 1910.07467). `passes` says whether `out` goes past
    /// the caches, see ``resultsPass``.
    package func rmsNorm(
        _ x: Span<Float>, weight: Span<Float>, epsilon: Float, into out: inout MutableSpan<Float>,
        passing passes: Bool = false
    ) {
        precondition(weight.count == x.count && out.count >= x.count, "RMSNorm of \(x.count) by \(weight.count)")
        unsafe x.withUnsafeBufferPointer { x in
            unsafe weight.withUnsafeBufferPointer { weight in
                unsafe out.withUnsafeMutableBufferPointer { out in
                    unsafe vector.rms_norm(
                        x.baseAddress, weight.baseAddress, epsilon, x.count, out.baseAddress, passes)
                }
            }
        }
    }

    /// x = x * weight / sqrt(mean(x²) + epsilon).
    package func rmsNorm(_ x: inout MutableSpan<Float>, weight: Span<Float>, epsilon: Float) {
        precondition(weight.count == x.count, "RMSNorm of \(x.count) by \(weight.count)")
        unsafe x.withUnsafeMutableBufferPointer { x in
            unsafe weight.withUnsafeBufferPointer { weight in
                unsafe vector.rms_norm(x.baseAddress, weight.baseAddress, epsilon, x.count, x.baseAddress, false)
            }
        }
    }

    /// accumulator += x.
    package func add(_ x: Span<Float>, to accumulator: inout MutableSpan<Float>) {
        precondition(accumulator.count == x.count, "\(x.count) added to \(accumulator.count)")
        unsafe x.withUnsafeBufferPointer { x in
            unsafe accumulator.withUnsafeMutableBufferPointer { out in
                unsafe vector.add(out.baseAddress, x.baseAddress, x.count, out.baseAddress)
            }
        }
    }

    /// out = SiLU(gate) * up, SiLU(g) = g / (1 + exp(-g)): the gate of SwiGLU (arXiv 2002.05202).
    ///
    /// - Parameters:
    ///   - gateUp: rows `gateUpStride` apart, from element `start` on, of `length` gates and as many ups.
    ///   - out: rows of `length` floats `outStride` apart, from element `offset` on.
    ///   - passes: whether they go past the caches, see ``resultsPass``.
    func siluMultiply(
        _ gateUp: borrowing SharedBuffer<Float>, at start: Int, stride gateUpStride: Int, rows: Int, length: Int,
        into out: borrowing SharedBuffer<Float>, at offset: Int, stride outStride: Int, passing passes: Bool = false
    ) {
        precondition(
            rows > 0 && start >= 0 && (rows - 1) * gateUpStride + 2 * length <= gateUp.count - start,
            "\(rows) rows of \(length) gates and ups are not there")
        precondition(
            offset >= 0 && (rows - 1) * outStride + length <= out.count - offset, "\(rows) rows of \(length) do not fit"
        )
        unsafe vector.silu_multiply(
            gateUp.base + start, gateUpStride, rows, length, out.base + offset, outStride, passes)
    }

    /// x = exp(x - maximum); returns the sum of the results.
    package func exponentials(of x: inout MutableSpan<Float>, maximum: Float) -> Float {
        unsafe x.withUnsafeMutableBufferPointer { unsafe vector.exp_sum($0.baseAddress, maximum, $0.count) }
    }

    /// x = exp(x) / sum(exp(x)).
    package func softmax(_ x: inout MutableSpan<Float>) {
        precondition(!x.isEmpty, "softmax of nothing")
        unsafe x.withUnsafeMutableBufferPointer { unsafe vector.softmax($0.baseAddress, $0.count) }
    }

    /// The largest element.
    package func maximum(_ x: Span<Float>) -> Float {
        precondition(!x.isEmpty, "the maximum of nothing")
        return unsafe x.withUnsafeBufferPointer { unsafe vector.maximum($0.baseAddress, $0.count) }
    }

    /// x *= factor.
    package func scale(_ x: inout MutableSpan<Float>, by factor: Float) {
        unsafe x.withUnsafeMutableBufferPointer { unsafe vector.scale($0.baseAddress, factor, $0.count) }
    }

    /// Turns the pairs of one head by the angles whose cosines and sines are given: RoPE (arXiv 2104.09864).
    package func rotate(
        _ head: inout MutableSpan<Float>, cosines: Span<Float>, sines: Span<Float>, layout: RoPELayout
    ) {
        let pairs = cosines.count
        precondition(sines.count == pairs && head.count >= 2 * pairs, "\(pairs) rotations of \(head.count)")
        unsafe head.withUnsafeMutableBufferPointer { head in
            unsafe cosines.withUnsafeBufferPointer { cosines in
                unsafe sines.withUnsafeBufferPointer { sines in
                    switch layout {
                    case .adjacent:
                        unsafe vector.rope_adjacent(head.baseAddress, cosines.baseAddress, sines.baseAddress, pairs)
                    case .halves:
                        unsafe vector.rope_halves(head.baseAddress, cosines.baseAddress, sines.baseAddress, pairs)
                    }
                }
            }
        }
    }

    /// x = H x / sqrt(n), H the Hadamard matrix of n rows, n a power of two: its own inverse.
    package func hadamard(_ x: inout MutableSpan<Float>) {
        precondition(x.count > 0 && x.count & (x.count - 1) == 0, "\(x.count) is not a power of two")
        unsafe x.withUnsafeMutableBufferPointer { unsafe vector.hadamard($0.baseAddress, $0.count) }
    }
}

/// Which elements of a head form the pairs that RoPE turns.
package enum RoPELayout: Sendable {
    /// x[2i] and x[2i + 1]: `llama` files, whose Q and K rows converters permute for it.
    case adjacent
    /// x[i] and x[i + n/2]: the layout of the checkpoints themselves.
    case halves
}
