internal import CKernels
package import GGUF

/// Weights that are rounded one by one, within blocks whose scales are known already.
extension Kernels {
    /// The number of weights that a scale has of each column of `type`; 0 for a type whose weights are not rounded one by
    /// one, but several together.
    package static func codeCount(_ type: GGMLType) -> Int { unsafe Int(ck_type_codes(type.rawValue).count) }

    /// Replaces the codes in `blocks` of `type`, and leaves their scales. Codes are in the order of the columns, each below
    /// ``codeCount(_:)``.
    package func put(_ codes: Span<UInt8>, as type: GGMLType, into blocks: inout MutableSpan<UInt8>) {
        precondition(
            type.byteCount(elements: codes.count) == blocks.count, "\(blocks.count) bytes for \(codes.count) codes")
        guard let put = unsafe ck_type_codes(type.rawValue).put else {
            preconditionFailure("\(type.name) has no codes")
        }
        unsafe codes.withUnsafeBufferPointer { codes in
            unsafe blocks.withUnsafeMutableBufferPointer { blocks in
                unsafe put(codes.baseAddress, blocks.baseAddress, codes.count)
            }
        }
    }

    /// Rounds the weights of a block's columns, some rows at a time, and feeds the errors forward to those behind them.
    ///
    /// - Parameters:
    ///   - shape: the sizes.
    ///   - weights: (rows, stride), from the block's first column on.
    ///   - factor: (columns, stride), from the block's place on the diagonal on: U, of the inverse of H =
    ///     transpose(U) * U.
    ///   - first: (rows, columns): what weights with code 0 are.
    ///   - last: (rows, columns): what weights with the last code are.
    ///   - codes: (rows, columns): what weights are rounded to.
    ///   - errors: (rows, stride), from the block's first column on: error over the column's element on the diagonal.
    package func feedForward(
        _ shape: FeedbackShape, as type: GGMLType, weights: inout MutableSpan<Float>, factor: Span<Float>,
        first: Span<Float>, last: Span<Float>, codes: inout MutableSpan<UInt8>, errors: inout MutableSpan<Float>
    ) {
        func holds(_ count: Int, _ rows: Int, _ columns: Int, _ stride: Int) -> Bool {
            rows > 0 && columns > 0 && columns <= stride && (rows - 1) * stride + columns <= count
        }
        let (rows, columns) = (shape.rows, shape.columns)
        precondition(
            columns <= shape.reach && holds(weights.count, rows, shape.reach, shape.stride)
                && holds(factor.count, columns, shape.reach, shape.factorStride)
                && holds(errors.count, rows, columns, shape.errorStride) && first.count >= rows * columns
                && last.count >= rows * columns && codes.count >= rows * columns,
            "\(shape) does not fit")
        var table = unsafe ck_type_codes(type.rawValue)
        precondition(unsafe table.count > 1, "\(type.name) has no codes")
        unsafe weights.withUnsafeMutableBufferPointer { weights in
            unsafe factor.withUnsafeBufferPointer { factor in
                unsafe first.withUnsafeBufferPointer { first in
                    unsafe last.withUnsafeBufferPointer { last in
                        unsafe codes.withUnsafeMutableBufferPointer { codes in
                            unsafe errors.withUnsafeMutableBufferPointer { errors in
                                var step = unsafe ck_feedback(
                                    rows: rows, columns: columns, reach: shape.reach, weights: weights.baseAddress,
                                    stride: shape.stride, factor: factor.baseAddress,
                                    factor_stride: shape.factorStride, first: first.baseAddress,
                                    last: last.baseAddress, codes: codes.baseAddress, errors: errors.baseAddress,
                                    error_stride: shape.errorStride)
                                unsafe feedback.feed_forward(&step, &table)
                            }
                        }
                    }
                }
            }
        }
    }

    /// Gives weights that are rounded already, a column after the other, the codes that are best while all others are what
    /// they are: (exact - rounded) * H * transpose(exact - rounded) becomes smaller for every row.
    ///
    /// - Parameters:
    ///   - moments: (columns, columns): H.
    ///   - first: (rows, columns): what weights with code 0 are.
    ///   - last: (rows, columns): what weights with the last code are.
    ///   - weights: (rows, columns): the rounded weights.
    ///   - gradient: (rows, columns): (exact - rounded) * H.
    ///   - codes: (rows, columns): what the weights are rounded to then.
    package func descend(
        rows: Int, columns: Int, as type: GGMLType, moments: Span<Float>, first: Span<Float>, last: Span<Float>,
        weights: inout MutableSpan<Float>, gradient: inout MutableSpan<Float>, codes: inout MutableSpan<UInt8>
    ) {
        let count = rows * columns
        precondition(
            moments.count >= columns * columns && first.count >= count && last.count >= count && weights.count >= count
                && gradient.count >= count && codes.count >= count, "\(rows) rows of \(columns) do not fit")
        var table = unsafe ck_type_codes(type.rawValue)
        precondition(unsafe table.count > 1, "\(type.name) has no codes")
        unsafe moments.withUnsafeBufferPointer { moments in
            unsafe first.withUnsafeBufferPointer { first in
                unsafe last.withUnsafeBufferPointer { last in
                    unsafe weights.withUnsafeMutableBufferPointer { weights in
                        unsafe gradient.withUnsafeMutableBufferPointer { gradient in
                            unsafe codes.withUnsafeMutableBufferPointer { codes in
                                var step = unsafe ck_descent(
                                    rows: rows, columns: columns, moments: moments.baseAddress,
                                    first: first.baseAddress, last: last.baseAddress, weights: weights.baseAddress,
                                    gradient: gradient.baseAddress, codes: codes.baseAddress)
                                unsafe feedback.descend(&step, &table)
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The sizes of a step of rounding with feedback.
package struct FeedbackShape: Sendable {
    /// Rows of weights.
    package let rows: Int
    /// Columns that are rounded, those of a block.
    package let columns: Int
    /// Columns that errors are fed forward to, the block's own first.
    package let reach: Int
    /// Floats from one row of weights to the next.
    package let stride: Int
    /// Floats from one row of the factor to the next.
    package let factorStride: Int
    /// Floats from one row of errors to the next.
    package let errorStride: Int

    /// The sizes of a step.
    package init(rows: Int, columns: Int, reach: Int, stride: Int, factorStride: Int, errorStride: Int) {
        self.rows = rows
        self.columns = columns
        self.reach = reach
        self.stride = stride
        self.factorStride = factorStride
        self.errorStride = errorStride
    }
}
