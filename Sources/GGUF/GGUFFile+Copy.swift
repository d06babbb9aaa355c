extension GGUFFile {
    /// Bytes that are copied at a time.
    private static let pieceBytes = 8 << 20

    /// Writes all tensors as one file with other metadata.
    ///
    /// Memory is some mebibytes, whatever the size of the file.
    ///
    /// - Parameters:
    ///   - path: where the file appears once it is complete; not one of the files that the tensors are read from.
    ///   - metadata: its key–value pairs.
    ///   - progress: called now and then with the bytes of tensors written so far, of ``tensorBytes``; returning false
    ///     stops, and leaves no file behind.
    /// - Returns: whether the file was written.
    /// - Throws: ``GGUFError/outputIsInput(_:)`` for a path that is read from,
    ///   ``GGUFError/system(operation:path:code:)`` where reading or writing fails.
    @discardableResult
    public func copy(
        to path: String, metadata: GGUFMetadata, progress: ((Int) -> Bool)? = nil
    ) throws(GGUFError) -> Bool {
        var writer = try GGUFWriter(
            path: path, metadata: metadata, tensors: tensors.map { GGUFWriter.Declaration($0) }, inputs: shardPaths)
        guard try copy(tensors.indices, to: &writer, progress: progress) else { return false }
        try writer.finish()
        return true
    }

    /// Writes some of the tensors to a writer that expects them.
    ///
    /// - Parameter progress: called after each piece with the bytes written by this call; returning false stops.
    /// - Returns: whether all were written.
    func copy(
        _ range: Range<Int>, to writer: inout GGUFWriter, progress: ((Int) -> Bool)?
    ) throws(GGUFError) -> Bool {
        var done = 0
        for tensor in tensors[range] {
            let file = mappedFile(of: tensor)
            let end = tensor.offset + tensor.byteCount
            for start in stride(from: tensor.offset, to: end, by: Self.pieceBytes) {
                let piece = start..<min(start + Self.pieceBytes, end)
                let next = piece.upperBound..<min(piece.upperBound + Self.pieceBytes, file.size)
                if !next.isEmpty { file.advise(.willNeed, range: next) }
                try writer.write(file.bytes.extracting(piece), of: tensor.name)
                // Its pages would count as memory of this process until the file is closed.
                file.advise(.dontNeed, range: piece)
                done += piece.count
                if let progress, !progress(done) { return false }
            }
        }
        return true
    }
}
