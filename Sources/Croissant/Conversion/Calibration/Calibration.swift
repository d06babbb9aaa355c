extension Quantizer {
    /// A text whose products decide how weights are rounded.
    ///
    /// The text should be like what the model will read and write: some tens of thousands of tokens are enough.
    public struct Calibration: Sendable {
        /// How the products are made use of.
        public enum Method: String, Sendable, CaseIterable {
            /// Errors count by the mean square of the input that they meet, as with llama.cpp's importance matrix.
            case importance
            /// Rounding errors are fed forward to weights that are still to be rounded (GPTQ: Frantar et al. 2022,
            /// arXiv 2210.17323). Types whose weights are not rounded one by one, such as IQ2_XS, get ``importance``
            /// instead.
            case gptq
        }

        /// The text, of at least one chunk. Texts of control tokens in it become those tokens.
        public var text: String
        /// Its name, which the new file's metadata tell.
        public var name: String
        /// The file that it is in, which must not be overwritten; nil for a text that is in none.
        public var path: String?
        /// How the products are made use of: ``Method/gptq`` by default.
        public var method = Method.gptq
        /// Tokens in a chunk of the text, which is read by itself, within ``contextLengths``; 512, or what the model
        /// was trained for if that is less, when nil.
        public var contextLength: Int?
        /// The most chunks to read, 1 or more, which are taken from all over the text; 64 by default.
        public var chunks = 64

        /// The lengths that a chunk may have, in tokens: shorter ones would not be multiplied as batches are.
        public static let contextLengths = 16...1 << 16

        /// Calibration with `text`, which the new file's metadata call `name`, by the default method; `path` is the file
        /// that it is in, if it is in one.
        public init(text: String, name: String, path: String? = nil) {
            self.text = text
            self.name = name
            self.path = path
        }
    }
}
