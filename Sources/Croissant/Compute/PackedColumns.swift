/// Tokens whose activations lie side by side, so that one pass over a panel of weights serves all of them.
package struct TokenGroup: Sendable, Equatable {
    /// The tokens.
    package let tokens: Range<Int>
    /// Vectors that the kernels compute: `tokens.count`, or more where no kernel is that narrow.
    package let width: Int
    /// The widths of the groups before this one, together.
    package let start: Int

    /// Splits a batch into groups of the widths that kernels have, widest first.
    package static func split(_ tokens: Int, widths: [Int]) -> [TokenGroup] {
        var groups: [TokenGroup] = []
        var first = 0
        var start = 0
        while first < tokens {
            let left = tokens - first
            // A group that is two thirds full is faster than several narrow ones.
            let width = widths.first { 3 * left > 2 * $0 } ?? widths.last ?? 1
            let count = min(width, left)
            groups.append(TokenGroup(tokens: first..<first + count, width: width, start: start))
            first += count
            start += width
        }
        return groups
    }
}

/// Activation vectors rounded to integers and laid side by side in groups, as panels take them.
package struct PackedColumns: ~Copyable {
    private var values: Buffer<Int8>
    private var scales: FloatBuffer
    private var totals: Buffer<Int32>
    private var sums: FloatBuffer

    /// The sizes of its buffers, in elements.
    package struct Shape: Sendable {
        private(set) var values = 0
        private(set) var scales = 0
        private(set) var totals = 0

        /// No space.
        package init() {}

        /// Makes room for `tokens` vectors of `columns` activations in groups of `widths`.
        package mutating func include(tokens: Int, columns: Int, widths: [Int], form: ColumnForm) {
            // Every smaller batch fits too: at most one group is padded, to no more than the widest.
            let vectors = tokens + (widths.first ?? 1) - 1
            values = max(values, vectors * columns * form.bytes)
            scales = max(scales, vectors * columns / ActivationBlock.scaleColumns)
            totals = max(totals, PackedBatch.totals(vectors * columns))
        }

        /// Bytes that ``PackedColumns`` will allocate.
        package var byteCount: Int { values + 4 * scales + 8 * totals }
    }

    /// Allocates the buffers; throws where the system refuses the memory.
    package init(_ shape: Shape) throws(ModelError) {
        let purpose = "packed activations"
        let values = try Buffer<Int8>.allocate(shape.values, purpose: purpose)
        let scales = try FloatBuffer.allocate(shape.scales, purpose: purpose)
        let totals = try Buffer<Int32>.allocate(shape.totals, purpose: purpose)
        let sums = try FloatBuffer.allocate(shape.totals, purpose: purpose)
        self.values = values
        self.scales = scales
        self.totals = totals
        self.sums = sums
    }

    /// Bytes of its buffers.
    package var byteCount: Int { values.byteCount + scales.byteCount + totals.byteCount + sums.byteCount }

    /// Rounds x (tokens, columns), group by group on all threads.
    package mutating func pack(
        _ x: Span<Float>, columns: Int, groups: [TokenGroup], form: ColumnForm, kernels: Kernels,
        pool: ThreadPool
    ) {
        Self.pack(
            x, columns: columns, groups: groups, form: form, kernels: kernels, pool: pool,
            values: &values, scales: &scales, totals: &totals, sums: &sums)
    }

    private static func pack(
        _ x: Span<Float>, columns: Int, groups: [TokenGroup], form: ColumnForm, kernels: Kernels,
        pool: ThreadPool, values: inout Buffer<Int8>, scales: inout FloatBuffer, totals: inout Buffer<Int32>,
        sums: inout FloatBuffer
    ) {
        let values = values.shared
        let scales = scales.shared
        let totals = totals.shared
        let sums = sums.shared
        pool.parallelFor(groups.count) { index, _ in
            let group = groups[index]
            let elements = group.start * columns..<(group.start + group.width) * columns
            var groupValues = values.slice(elements.mapped { $0 * form.bytes })
            var groupScales = scales.slice(elements.mapped { $0 / form.scaleColumns })
            var groupTotals = totals.slice(elements.mapped(PackedBatch.totals))
            var groupSums = sums.slice(elements.mapped(PackedBatch.totals))
            kernels.packColumns(
                x.extracting(group.tokens.mapped { $0 * columns }), rows: group.tokens.count, columns: columns,
                form: form, width: group.width, values: &groupValues, scales: &groupScales,
                totals: &groupTotals, sums: &groupSums)
        }
    }

    /// All groups as they were packed; `columns` and `form` are those of ``pack(_:columns:groups:form:kernels:pool:)``.
    @_lifetime(borrow self)
    package func batch(columns: Int, form: ColumnForm) -> PackedBatch {
        PackedBatch(
            columns: columns, form: form, values: values.bytes(of: 0..<values.count), scales: scales.span,
            totals: totals.span, sums: sums.span)
    }
}

/// The activations of all groups.
package struct PackedBatch: ~Escapable {
    /// Activations of each vector.
    let columns: Int
    let form: ColumnForm
    /// log2 of ``ColumnForm/scaleColumns``: what places scales is computed for each tile and group.
    let scaleShift: Int
    let values: RawSpan
    let scales: Span<Float>
    let totals: Span<Int32>
    let sums: Span<Float>

    /// Sums that come with `elements` activations: one for 32, and two for their halves.
    static func totals(_ elements: Int) -> Int {
        elements / ActivationBlock.scaleColumns + elements / ActivationBlock.sumColumns
    }

    /// Vectors that there is room for.
    var vectors: Int {
        let elements = min(values.byteCount / form.bytes, scales.count << scaleShift)
        // What comes for 32 activations comes three times: once for all of them, and for both halves.
        return min(elements, min(totals.count, sums.count) / 3 * ActivationBlock.scaleColumns) / columns
    }

    @_lifetime(copy values, copy scales, copy totals, copy sums)
    fileprivate init(
        columns: Int, form: ColumnForm, values: RawSpan, scales: Span<Float>, totals: Span<Int32>, sums: Span<Float>
    ) {
        self.columns = columns
        self.form = form
        scaleShift = form.scaleColumns.trailingZeroBitCount
        self.values = values
        self.scales = scales
        self.totals = totals
        self.sums = sums
    }
}

/// What activations are held in beside panels and tiles (see columns.c).
package enum ColumnForm: Sendable, CaseIterable {
    /// 8-bit integers, a scale for 32.
    case int8
    /// 16-bit integers, a scale for 32.
    case int16
    /// 8-bit integers, a scale for 64: what the tiles of some types meet (see wide_tile.h).
    case wideInt8
    /// 16-bit integers as two planes of bytes: what the panels of some types meet where `int16` is not that itself.
    case splitInt16
    /// 8-bit integers without a sign: what the tiles of some types meet (see raised_tile_avx2.h).
    case raisedInt8
    /// Integers up to 1023, a scale for 64: what the tiles of other types meet (see winograd_tile_avx2.h).
    case int11
    /// 16-bit integers as two planes of bytes, a scale for 256: what the tiles of all types meet on AMX (see amx_int16.h).
    case amxInt16
    /// Bfloat16: what they meet there where 8 bits are enough (see amx_bf16.h).
    case amxBF16
    /// 8-bit integers, a scale for 32 that is an integer too: what the tiles of other types meet (see paired_tile.h).
    case pairedInt8

    /// The form for activations of `precision`, which is not that of floats.
    package init(_ precision: ActivationPrecision) {
        precondition(precision != .f32, "floats meet neither panels nor tiles")
        self = precision == .int16 ? .int16 : .int8
    }

    /// Bytes of one activation.
    package var bytes: Int {
        switch self {
        case .int8, .wideInt8, .raisedInt8, .pairedInt8: 1
        case .int16, .splitInt16, .int11, .amxInt16, .amxBF16: 2
        }
    }

    /// Whether tiles for it begin with a header.
    var hasTileHeader: Bool {
        switch self {
        case .int8, .int16, .splitInt16, .amxInt16, .amxBF16: false
        case .wideInt8, .raisedInt8, .int11, .pairedInt8: true
        }
    }

    /// Columns for which there is room for a scale, which whole rows have to be a multiple of.
    package var scaleColumns: Int {
        switch self {
        case .int8, .int16, .splitInt16, .raisedInt8, .amxBF16: ActivationBlock.scaleColumns
        case .wideInt8, .int11, .amxInt16, .pairedInt8: 2 * ActivationBlock.scaleColumns
        }
    }
}

extension [TokenGroup] {
    /// Runs of groups that have up to `most` tokens, or one group each.
    package func runs(ofTokens most: Int) -> [Range<Int>] {
        var runs: [Range<Int>] = []
        for index in indices {
            if let run = runs.last, self[index].tokens.upperBound - self[run.lowerBound].tokens.lowerBound <= most {
                runs[runs.count - 1] = run.lowerBound..<index + 1
            } else {
                runs.append(index..<index + 1)
            }
        }
        return runs
    }
}

extension Range<Int> {
    fileprivate func mapped(_ place: (Int) -> Int) -> Range<Int> { place(lowerBound)..<place(upperBound) }
}
