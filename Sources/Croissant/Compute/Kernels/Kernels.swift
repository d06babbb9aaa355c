internal import CKernels
package import GGUF

/// The C kernels of one instruction set, behind spans whose sizes are checked.
///
/// The files of this folder are the only ones that know CKernels: this one looks its functions up, each of the others has
/// the operations of one concern.
@safe package struct Kernels: @unchecked Sendable {
    // Sendable: the tables hold functions and constants only.

    /// The instruction set in use.
    package let instructionSet: InstructionSet
    /// Operations on vectors of floats.
    let vector: ck_vector_kernels
    private let roofline: ck_roofline_kernels
    /// Rounding by what products become.
    let feedback: ck_feedback_kernels
    /// By type id; nil for a type without kernels.
    private let types: [ck_type_kernels?]
    /// By type id; nil for a type that nothing is quantised to.
    private let quantizers: [ck_quantize_rows_fn?]
    /// By type id; nil for a type that no cache holds.
    private let attention: [ck_attention_kernels?]
    /// Attention in tiles, with products of floats and with those of integers.
    private let floatAttention: ck_attention_tile_kernels
    private let integerAttention: ck_attention_tile_kernels
    /// By type id; nil for a type that stays in the layout of the file.
    private let panels: [ck_panel_kernels?]
    /// How far ahead of use memory is asked for: what meets one vector or two, and what meets more.
    let lookahead: ck_lookahead
    let wideLookahead: ck_lookahead
    /// The same, in bytes, of a cache that few queries attend to.
    let cacheLookahead: Int
    /// Whether what batches yield goes past the caches. Only what a step of a ``ThreadPool`` does may ask for that: the
    /// pool fences, operations do not.
    let resultsPass: Bool
    /// Vectors that a panel meets at a time, widest first.
    package let vectorWidths: [Int]
    /// Vectors that a tile meets at a time, widest first, by the form that they are in.
    private let widths: [ColumnForm: [Int]]
    /// What packs activations for panels and tiles.
    private let columnPackers: [ColumnForm: ck_pack_columns_fn]

    /// Kernels of `instructionSet`, which must be supported.
    package init(_ instructionSet: InstructionSet) {
        precondition(Self.isSupported(instructionSet), "\(instructionSet) is not supported on this machine")
        self.instructionSet = instructionSet
        let isa = instructionSet.code
        vector = ck_vector(isa)
        roofline = ck_roofline(isa)
        lookahead = ck_lookahead_of(isa, 1)
        wideLookahead = ck_lookahead_of(isa, 4)
        cacheLookahead = ck_cache_lookahead(isa)
        resultsPass = ck_results_pass(isa)
        feedback = ck_feedback_of(isa)
        let ids = 0..<UInt32(CK_TYPE_COUNT)
        types = ids.map { id in
            unsafe ck_traits(id).name == nil ? nil : ck_kernels(ck_type(rawValue: id), isa)
        }
        unsafe quantizers = ids.map { id in
            unsafe ck_traits(id).name == nil ? nil : ck_quantizer(ck_type(rawValue: id), isa)
        }
        attention = ids.map { id in
            guard unsafe ck_traits(id).name != nil else { return nil }
            let kernels = ck_attention(ck_type(rawValue: id), isa)
            return unsafe kernels.scores == nil ? nil : kernels
        }
        floatAttention = ck_attention_tiles(isa, false)
        integerAttention = ck_attention_tiles(isa, true)
        let panels = ids.map { ck_panel_sizes($0).block == 0 ? nil : ck_panels(ck_type(rawValue: $0), isa) }
        self.panels = panels
        // What fits into the registers is the same for all types.
        let meetsEight = panels.contains { $0.map { unsafe ColumnForm.int8.entry(of: $0.eight) != nil } ?? false }
        vectorWidths = meetsEight ? [8, 4, 2, 1] : [4, 2, 1]
        var widths: [ColumnForm: [Int]] = [:]
        var packers: [ColumnForm: ck_pack_columns_fn] = unsafe [:]
        for form in ColumnForm.allCases {
            let widest = panels.compactMap { $0.map { form.entry(of: $0.tile_vectors) } }.max() ?? 0
            let narrowest = panels.compactMap { $0.map { form.entry(of: $0.narrow_vectors) } }.max() ?? 0
            widths[form] = widest > narrowest ? [Int(widest), Int(narrowest)] : widest > 0 ? [Int(widest)] : []
            unsafe packers[form] = ck_pack_columns(form.code, isa)
        }
        self.widths = widths
        unsafe columnPackers = packers
    }

    // MARK: The machine

    /// Whether this machine can run `instructionSet`.
    package static func isSupported(_ instructionSet: InstructionSet) -> Bool {
        ck_isa_supported(instructionSet.code)
    }

    /// The best instruction set of this machine.
    package static var bestInstructionSet: InstructionSet {
        let best = ck_isa_best()
        return InstructionSet.allCases.first { $0.code == best } ?? .scalar
    }

    /// Tells the processor that the caller waits in a loop.
    @inline(__always) static func pause() {
        ck_spin_pause()
    }

    /// What this thread has written past the caches comes before whatever it writes from here on: no atomic that follows
    /// promises that, see ``resultsPass``.
    @inline(__always) static func fence() {
        ck_fence()
    }

    // MARK: Roofs

    /// Reads memory, and does next to nothing with it.
    func read(_ bytes: RawSpan) {
        precondition(bytes.byteCount % 512 == 0, "\(bytes.byteCount) bytes are not whole steps")
        unsafe bytes.withUnsafeBytes { unsafe _ = roofline.read($0.baseAddress, $0.count, lookahead) }
    }

    /// Multiplies and adds on registers for some microseconds.
    func multiplyFloats() { _ = roofline.float_products() }
    func multiplyBytes() { _ = roofline.byte_products() }

    /// The operations of ``multiplyFloats()`` and ``multiplyBytes()``.
    var floatProductOperations: Double { roofline.float_operations }
    var byteProductOperations: Double { roofline.byte_operations }

    // MARK: Types

    /// Whether tensors of `type` can be computed with.
    package static func canCompute(_ type: GGMLType) -> Bool {
        unsafe ck_traits(type.rawValue).name != nil
    }

    /// Whether weights can be quantised to `type`.
    package func canQuantize(to type: GGMLType) -> Bool {
        let id = Int(type.rawValue)
        return unsafe id < quantizers.count && quantizers[id] != nil
    }

    /// The types of elements that a cache can hold, on every instruction set.
    package static var cacheTypes: [GGMLType] {
        let kernels = Kernels(.scalar)
        return GGMLType.allCases.filter { canCompute($0) && kernels.canCache($0) }
    }

    /// Whether a cache can hold elements of `type`.
    package func canCache(_ type: GGMLType) -> Bool {
        let id = Int(type.rawValue)
        return id < attention.count && attention[id] != nil
    }

    // MARK: Tables

    /// What `type` can do, which must have kernels.
    func kernels(_ type: GGMLType) -> ck_type_kernels {
        Self.entry(of: types, type, orElse: "has no kernels: loading should have said so")
    }

    /// What `type` can do as panels, which it must have.
    func panelKernels(_ type: GGMLType) -> ck_panel_kernels {
        Self.entry(of: panels, type, orElse: "has no panels: loading should have kept its rows")
    }

    /// Attention in tiles, with products of integers or of floats.
    func attentionTiles(integers: Bool) -> ck_attention_tile_kernels { integers ? integerAttention : floatAttention }

    /// Attention over a cache of `type`, which one must be able to hold.
    func attentionKernels(_ type: GGMLType) -> ck_attention_kernels {
        Self.entry(of: attention, type, orElse: "is in no cache: planning should have said so")
    }

    /// What quantises weights to `type`, which something must.
    func quantizer(_ type: GGMLType) -> ck_quantize_rows_fn {
        unsafe Self.entry(of: quantizers, type, orElse: "is what nothing is quantised to")
    }

    /// The entry of a table by type id, which must be there.
    private static func entry<Entry>(
        of table: [Entry?], _ type: GGMLType, orElse message: @autoclosure () -> String
    ) -> Entry {
        let id = Int(type.rawValue)
        guard id < table.count, let entry = table[id] else { preconditionFailure("\(type.name) \(message())") }
        return entry
    }

    /// What packs activations for panels and tiles.
    func columnPacker(_ form: ColumnForm) -> ck_pack_columns_fn {
        guard let pack = unsafe columnPackers[form] else {
            preconditionFailure("nothing packs \(form) activations on \(instructionSet)")
        }
        return unsafe pack
    }

    /// Vectors that a tile meets at a time in `form`, widest first; none where there are no such tiles.
    package func tileWidths(_ form: ColumnForm) -> [Int] { widths[form] ?? [] }

    /// How much of a matrix one worker unpacks at a time where activations of a batch are held in `precision`.
    ///
    /// Scales add up to a half of a byte to each weight, some are words of 16 bits, and a cache of 512 KiB, as Zen 3's,
    /// has to hold activations beside them. All that have AMX have 2 MiB, and matrices outrun what is behind them: with
    /// half as many, they multiply 5504 columns of 16 bits 0.76 times as fast, 2048 columns 0.91 times. Sums of floats
    /// can be added up part by part, so that long rows become tiles as high as others do.
    package func tileSize(for precision: ActivationPrecision) -> TileSize {
        if tileWidths(.amxInt16).isEmpty { return .least }
        return TileSize(elements: 1 << 19, columns: precision == .int8 ? 2048 : .max)
    }

    /// What the panels of weights of `types` meet, all in the same form, when activations are to be held in `precision`,
    /// which is not that of floats.
    package func panelForm(of types: [GGMLType], precision: ActivationPrecision) -> ColumnForm {
        guard precision == .int16 && !types.isEmpty else { return ColumnForm(precision) }
        let areSplit = types.allSatisfy { unsafe ColumnForm.splitInt16.entry(of: panelKernels($0).one) != nil }
        return areSplit ? .splitInt16 : .int16
    }

    /// What the tiles of weights of `types` meet in a batch, all in the same form, when activations are to be held in
    /// `precision`, which is not that of floats.
    package func tileForm(of types: [GGMLType], columns: Int, precision: ActivationPrecision) -> ColumnForm {
        guard !types.isEmpty else { return ColumnForm(precision) }
        let best: [ColumnForm] =
            precision == .int8 ? [.amxBF16, .wideInt8, .pairedInt8, .raisedInt8, .int11] : [.amxInt16]
        let found = best.first { form in
            columns % form.scaleColumns == 0
                && types.allSatisfy { unsafe form.entry(of: panelKernels($0).tile) != nil }
        }
        return found ?? ColumnForm(favoured(precision, of: types))
    }

    /// The least tokens of a batch that are worth unpacking weights of `types` for: fewer, but more than one, meet panels
    /// in less time, where weights are panels or become panels fast. 1 where that has not been measured, or no type is
    /// given.
    package func leastTiled(_ types: [GGMLType]) -> Int {
        types.map { Int(panelKernels($0).least_tiled) }.min() ?? 1
    }

    /// What activations of a batch are rounded to where it meets weights of `types` as panels, or as tiles in no form of
    /// their own: `precision`, or 16 bits where tiles for those take no more time than for 8.
    package func favoured(_ precision: ActivationPrecision, of types: [GGMLType]) -> ActivationPrecision {
        precision == .int8 && types.allSatisfy { panelKernels($0).favours_int16 } ? .int16 : precision
    }
}

extension InstructionSet {
    fileprivate var code: ck_isa {
        switch self {
        case .scalar: CK_ISA_SCALAR
        case .avx2: CK_ISA_AVX2
        case .avxvnni: CK_ISA_AVXVNNI
        case .avx512: CK_ISA_AVX512
        case .avx512vnni: CK_ISA_AVX512VNNI
        case .amx: CK_ISA_AMX
        case .neon: CK_ISA_NEON
        case .neonDotprod: CK_ISA_NEON_DOTPROD
        case .neonI8mm: CK_ISA_NEON_I8MM
        }
    }
}

extension ColumnForm {
    /// The number that tables are read by.
    fileprivate var code: ck_precision {
        switch self {
        case .int8: CK_PRECISION_INT8
        case .int16: CK_PRECISION_INT16
        case .wideInt8: CK_PRECISION_WIDE_INT8
        case .splitInt16: CK_PRECISION_SPLIT_INT16
        case .raisedInt8: CK_PRECISION_RAISED_INT8
        case .int11: CK_PRECISION_INT11
        case .amxInt16: CK_PRECISION_AMX_INT16
        case .amxBF16: CK_PRECISION_AMX_BF16
        case .pairedInt8: CK_PRECISION_PAIRED_INT8
        }
    }

    /// The entry of a table by ck_precision.
    func entry<Entry>(of table: (Entry, Entry, Entry, Entry, Entry, Entry, Entry, Entry, Entry, Entry)) -> Entry {
        switch self {
        case .int8: table.2
        case .int16: table.1
        case .wideInt8: table.3
        case .splitInt16: table.4
        case .raisedInt8: table.5
        case .int11: table.6
        case .amxInt16: table.7
        case .amxBF16: table.8
        case .pairedInt8: table.9
        }
    }
}
