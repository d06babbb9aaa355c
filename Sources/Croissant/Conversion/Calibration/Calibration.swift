extension Quantizer {
    /// A text whose products decide how weights are rounded.
    ///
    /// The text should be like what the model will read and write: some tens of thousands of tokens are enough.
    public struct Calibration: Sendable {
        /// How the products are made use of.
        public enum Method: String, Sendable, CaseIterable {
            /// Errors count by the mean square of the input that they meet.
            case importance
            /// Rounding errors are fed forward to weights that are still to be rounded (GPTQ, arXiv 2210.17323).
            case gptq
        }

        /// The text.
        public var text: String
        /// Its name, which the new file's metadata tell.
        public var name: String
        /// How the products are made use of.
        public var method = Method.gptq
        /// Tokens in a chunk of the text, which is read by itself; 512, or what the model was trained for if that is less,
        /// when nil.
        public var contextLength: Int?
        /// The most chunks to read, which are taken from all over the text.
        public var chunks = 64

        /// The lengths that a chunk may have: shorter ones would not be multiplied as batches are.
        public static let contextLengths = 16...1 << 16

        /// Calibration with a text.
        public init(text: String, name: String) {
            self.text = text
            self.name = name
        }
    }
}
