import CDemonstrationModel
public import GGUF

extension GGUFFile {
    /// The demonstration model: a Llama of 3.9 million weights that tells short stories and translates simple
    /// sentences, in French and in English. It is a part of the program, and `Models/README.md` says how it was made.
    ///
    /// ```swift
    /// let model = try Model(GGUFFile.demonstration())
    /// ```
    ///
    /// - Throws: a `GGUFError` where the bytes in the program are damaged, which they never are in one that passed its
    ///   tests.
    public static func demonstration() throws(GGUFError) -> GGUFFile {
        var size = 0
        let start = unsafe demonstration_model(&size)
        let bytes = unsafe UnsafeRawBufferPointer(start: start, count: size)
        return try GGUFFile(unsafe MappedFile(embedded: bytes, name: "demonstration model"))
    }
}
