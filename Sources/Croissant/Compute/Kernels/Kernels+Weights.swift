internal import CKernels
package import GGUF

/// Weights in the layout of the file: their products with vectors, and their floats there and back.
extension Kernels {
    /// What the activations that meet weights of `type` are held in, when `wanted` is asked for: weights that are not
    /// quantised meet floats.
    package func precision(for type: GGMLType, wanted: ActivationPrecision) -> ActivationPrecision {
        unsafe kernels(type).gemv(wanted) == nil ? .f32 : wanted
    }

    /// y[offset + i] = dot(row i of `rows`, x).
    package func multiply(
        _ matrix: WeightMatrix, rows: Range<Int>, _ x: ActivationVector,
        into y: borrowing SharedBuffer<Float>, at offset: Int
    ) {
        precondition(x.count == matrix.columns, "\(x.count) activations for \(matrix.columns) columns")
        precondition(offset >= 0 && rows.count <= y.count - offset, "\(rows.count) results do not fit")
        guard let gemv = unsafe kernels(matrix.type).gemv(x.precision) else {
            preconditionFailure("\(matrix.type.name) has no product with \(x.precision) activations")
        }
        unsafe matrix.bytes(ofRows: rows).withUnsafeBytes { weights in
            unsafe x.withKernelActivations { x in
                unsafe gemv(
                    weights.baseAddress, matrix.rowBytes, rows.count, matrix.columns, x, y.base + offset)
            }
        }
    }

    /// y[offset + token * stride + i] = dot(row i of `rows`, x[token]), x being (tokens, columns), for a type that
    /// is not quantised.
    package func multiply(
        _ matrix: WeightMatrix, rows: Range<Int>, _ x: Span<Float>, into y: borrowing SharedBuffer<Float>,
        at offset: Int, stride: Int
    ) {
        let tokens = x.count / matrix.columns
        precondition(x.count == tokens * matrix.columns, "\(x.count) activations for \(matrix.columns) columns")
        precondition(
            tokens > 0 && offset >= 0 && rows.count <= stride && (tokens - 1) * stride + rows.count <= y.count - offset,
            "\(rows.count) results of \(tokens) tokens do not fit")
        guard let gemm = unsafe kernels(matrix.type).gemm else {
            preconditionFailure("\(matrix.type.name) is quantised")
        }
        unsafe matrix.bytes(ofRows: rows).withUnsafeBytes { weights in
            unsafe x.withUnsafeBufferPointer { x in
                unsafe gemm(
                    weights.baseAddress, matrix.rowBytes, rows.count, matrix.columns, x.baseAddress, tokens,
                    y.base + offset, stride)
            }
        }
    }

    /// Floats of the tiles that rows become to meet vectors in slabs.
    package static let slabTileFloats = Int(CK_TILED_FLOATS)

    /// Whether so many tokens meet weights of `type` faster when they lie in slabs.
    package func prefersSlabs(_ type: GGMLType, tokens: Int) -> Bool {
        let kernels = kernels(type)
        return unsafe kernels.tiled != nil && tokens >= kernels.least_tiled
    }

    /// The columns of each slab of vectors.
    package static func slabs(of columns: Int) -> [Range<Int>] {
        stride(from: 0, to: columns, by: Int(CK_SLAB_COLUMNS)).map { $0..<min($0 + Int(CK_SLAB_COLUMNS), columns) }
    }

    /// x (tokens, columns) -> the slab of the columns `part`, one of ``slabs(of:)``: side by side, group after group of
    /// tokens, in `slab` (tokens * part.count).
    package func laySlab(_ x: Span<Float>, columns: Int, part: Range<Int>, into slab: inout MutableSpan<Float>) {
        let tokens = x.count / columns
        precondition(x.count == tokens * columns, "\(x.count) activations for \(columns) columns")
        precondition(
            part.lowerBound >= 0 && part.upperBound <= columns && slab.count == tokens * part.count,
            "columns \(part) of \(columns) do not become \(slab.count) floats")
        unsafe x.withUnsafeBufferPointer { x in
            unsafe slab.withUnsafeMutableBufferPointer { slab in
                unsafe ck_lay_slab(
                    x.baseAddress, tokens, columns, part.lowerBound, part.count, slab.baseAddress)
            }
        }
    }

    /// As ``multiply(_:rows:_:into:at:stride:)``, for tokens that ``prefersSlabs(_:tokens:)``, in slabs one after the
    /// other. `tiles`, ``slabTileFloats``, on a cache line, are overwritten.
    package func multiply(
        _ matrix: WeightMatrix, rows: Range<Int>, slabs: Span<Float>, tiles: inout MutableSpan<Float>,
        into y: borrowing SharedBuffer<Float>, at offset: Int, stride: Int
    ) {
        let tokens = slabs.count / matrix.columns
        precondition(slabs.count == tokens * matrix.columns, "\(slabs.count) activations for \(matrix.columns) columns")
        precondition(prefersSlabs(matrix.type, tokens: tokens), "\(tokens) tokens meet \(matrix.type.name) otherwise")
        precondition(tiles.count >= Self.slabTileFloats, "tiles do not fit in \(tiles.count) floats")
        precondition(
            offset >= 0 && rows.count <= stride && (tokens - 1) * stride + rows.count <= y.count - offset,
            "\(rows.count) results of \(tokens) tokens do not fit")
        unsafe matrix.bytes(ofRows: rows).withUnsafeBytes { weights in
            unsafe slabs.withUnsafeBufferPointer { slabs in
                unsafe tiles.withUnsafeMutableBufferPointer { tiles in
                    precondition(UInt(bitPattern: tiles.baseAddress) % 64 == 0, "tiles do not begin on a cache line")
                    unsafe kernels(matrix.type).tiled(
                        weights.baseAddress, matrix.rowBytes, rows.count, matrix.columns, slabs.baseAddress, tokens,
                        y.base + offset, stride, tiles.baseAddress)
                }
            }
        }
    }

    /// Weights of `rows` as floats: out (rows, columns).
    package func dequantize(_ matrix: WeightMatrix, rows: Range<Int>, into out: inout MutableSpan<Float>) {
        dequantize(matrix.bytes(ofRows: rows), as: matrix.type, count: rows.count * matrix.columns, into: &out)
    }

    /// `count` elements of `type` as floats.
    package func dequantize(_ blocks: RawSpan, as type: GGMLType, count: Int, into out: inout MutableSpan<Float>) {
        precondition(
            type.byteCount(elements: count) == blocks.byteCount, "\(blocks.byteCount) bytes for \(count) elements")
        precondition(count <= out.count, "\(count) elements do not fit in \(out.count)")
        unsafe blocks.withUnsafeBytes { blocks in
            unsafe out.withUnsafeMutableBufferPointer { out in
                unsafe kernels(type).dequantize(blocks.baseAddress, out.baseAddress, count)
            }
        }
    }

    /// Floats rounded to blocks of `type`, by the type's reference rounding.
    package func quantize(_ values: Span<Float>, as type: GGMLType, into blocks: inout MutableSpan<UInt8>) {
        precondition(
            type.byteCount(elements: values.count) == blocks.count, "\(blocks.count) bytes for \(values.count) elements"
        )
        guard let quantize = unsafe kernels(type).quantize else {
            preconditionFailure("nothing rounds to \(type.name)")
        }
        unsafe values.withUnsafeBufferPointer { values in
            unsafe blocks.withUnsafeMutableBufferPointer { blocks in
                unsafe quantize(values.baseAddress, blocks.baseAddress, values.count)
            }
        }
    }

    /// The largest magnitude that `type` can be made of.
    static func quantizerLimit(_ type: GGMLType) -> Float { ck_quantizer_limit(ck_type(rawValue: type.rawValue)) }

    /// The index of the first of `values` that `type` cannot be made of, because it is no number or too large; nil where
    /// there is none.
    package func firstValue(in values: Span<Float>, beyond type: GGMLType) -> Int? {
        let limit = Self.quantizerLimit(type)
        let index = unsafe values.withUnsafeBufferPointer { unsafe ck_first_beyond($0.baseAddress, $0.count, limit) }
        return index < values.count ? index : nil
    }

    /// Rows of `columns` finite weights as those blocks of `type` that come closest to them, by the sum of squared errors.
    ///
    /// - Parameter importance: how much an error counts, one number that is not negative for each column; empty where all
    ///   count alike.
    package func quantizeRows(
        _ values: Span<Float>, columns: Int, importance: Span<Float> = Span(), as type: GGMLType,
        into blocks: inout MutableSpan<UInt8>
    ) {
        precondition(
            columns > 0 && values.count.isMultiple(of: columns), "\(values.count) weights in rows of \(columns)")
        precondition(columns.isMultiple(of: type.blockSize), "rows of \(columns) are not whole blocks of \(type.name)")
        precondition(importance.isEmpty || importance.count == columns, "\(importance.count) importances")
        precondition(
            type.byteCount(elements: values.count) == blocks.count, "\(blocks.count) bytes for \(values.count) weights")
        let quantize = unsafe quantizer(type)
        unsafe values.withUnsafeBufferPointer { values in
            unsafe importance.withUnsafeBufferPointer { importance in
                unsafe blocks.withUnsafeMutableBufferPointer { blocks in
                    unsafe quantize(
                        values.baseAddress, values.count / columns, columns,
                        importance.isEmpty ? nil : importance.baseAddress, blocks.baseAddress)
                }
            }
        }
    }
}

extension ck_type_kernels {
    fileprivate func gemv(_ precision: ActivationPrecision) -> ck_gemv_fn? {
        switch precision {
        case .f32: unsafe gemv.0
        case .int16: unsafe gemv.1
        case .int8: unsafe gemv.2
        }
    }
}
