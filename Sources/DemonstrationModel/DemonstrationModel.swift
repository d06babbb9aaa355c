import CDemonstrationModel
public import GGUF

extension GGUFFile {
    /// The demonstration model: a Llama of 3.9 million weights that tells short stories and translates simple sentences,
    /// in French and in English. It is a part of the program, and `Models/README.md` says how it was made.
    ///
    /// ```swift
    /// let model = try Model(GGUFFile.demonstration())
    /// ```
    ///
    /// - Throws: what a file that was damaged in the repository gives.
    public static func demonstration() throws(GGUFError) -> GGUFFile {
        var size = 0
        let start = unsafe demonstration_model(&size)
        let bytes = unsafe UnsafeRawBufferPointer(start: start, count: size)
        return try GGUFFile(unsafe MappedFile(embedded: bytes, name: "demonstration model"))
    }
}
