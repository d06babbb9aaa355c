import GGUF

/// A file whose tensors are made some rows at a time: memory is that of one piece, whatever the size of the file.
struct PiecewiseFile {
    /// The keys.
    let metadata: GGUFMetadata
    /// The tensors, in the order of the file.
    let declarations: [GGUFWriter.Declaration]
    /// Files that must not be overwritten.
    var inputs: [String] = []

    /// Writes the file.
    ///
    /// - Parameters:
    ///   - path: where it appears once it is complete.
    ///   - progress: called now and then with the bytes of tensors written so far; returning false stops, and leaves no
    ///     file behind.
    ///   - make: puts the blocks of some rows of a tensor, given by its index, at the beginning of a buffer.
    /// - Returns: whether the file was written. Nothing is left behind where something is thrown.
    func write(
        to path: String, progress: ((Int) -> Bool)?,
        make: (_ tensor: Int, _ rows: Range<Int>, _ blocks: inout Buffer<UInt8>) throws(ModelError) -> Void
    ) throws(ModelError) -> Bool {
        let length = declarations.map { ($0.pieces.first?.count ?? 0) * $0.rowBytes }.max() ?? 0
        var blocks = try Buffer<UInt8>.allocate(length, purpose: "weights on their way to the file")
        var writer: GGUFWriter
        do throws(GGUFError) {
            writer = try GGUFWriter(path: path, metadata: metadata, tensors: declarations, inputs: inputs)
        } catch {
            throw .file(error)
        }
        var done = 0
        for (index, tensor) in declarations.enumerated() {
            for rows in tensor.pieces {
                try make(index, rows, &blocks)
                let byteCount = rows.count * tensor.rowBytes
                do throws(GGUFError) {
                    try writer.write(blocks.span.extracting(0..<byteCount), of: tensor.name)
                } catch {
                    throw .file(error)
                }
                done += byteCount
                if let progress, !progress(done) { return false }
            }
        }
        do throws(GGUFError) { try writer.finish() } catch { throw .file(error) }
        return true
    }
}

extension GGUFWriter.Declaration {
    /// Elements of a row.
    var columns: Int { dimensions[0] }

    /// The number of rows, over all further dimensions.
    var rows: Int { dimensions.dropFirst().reduce(1, *) }

    /// Bytes of a row.
    var rowBytes: Int {
        guard let bytes = type.byteCount(elements: columns) else {
            preconditionFailure("tensors get types whose blocks divide their rows")
        }
        return bytes
    }

    /// The rows that are made at a time: about four million elements.
    fileprivate var pieces: [Range<Int>] {
        let height = max(1, (1 << 22) / columns)
        return stride(from: 0, to: rows, by: height).map { $0..<min($0 + height, rows) }
    }
}
