package import GGUF

extension SamplingParameters {
    /// How those who made a file advise to sample from its model: the `general.sampling.*` keys of GGUF, or what
    /// CroissantLLM's authors have published (temperature 0.4, top-k 40, top-p 0.9, repetition penalty 1.05; model card of
    /// CroissantLLMChat-v0.1) where the file is of that model and says nothing. Nil without advice. A value that makes no
    /// sense is passed over; what nothing is said about keeps its default.
    package static func advice(in metadata: GGUFMetadata, for configuration: ModelConfiguration) -> SamplingParameters?
    {
        var advised = SamplingParameters()
        var isAdvised = false
        func take<Value>(_ parameter: WritableKeyPath<SamplingParameters, Value>, _ value: Value?) {
            guard let value else { return }
            var changed = advised
            changed[keyPath: parameter] = value
            guard (try? changed.validate()) != nil else { return }
            advised = changed
            isAdvised = true
        }
        func float(_ key: String) -> Float? { metadata["general.sampling.\(key)"]?.asFloat.map { Float($0) } }
        func int(_ key: String) -> Int? { metadata["general.sampling.\(key)"]?.asInt }
        take(\.temperature, float("temp"))
        take(\.topK, int("top_k"))
        take(\.topP, float("top_p"))
        take(\.minP, float("min_p"))
        take(\.repeatPenalty, float("penalty_repeat"))
        take(\.repeatLastN, int("penalty_last_n"))
        if isAdvised { return advised }
        return configuration.isCroissant ? .croissant : nil
    }

    private static var croissant: SamplingParameters {
        var parameters = SamplingParameters()
        parameters.temperature = 0.4
        parameters.topP = 0.9
        parameters.minP = 0
        parameters.repeatPenalty = 1.05
        return parameters
    }
}

extension ModelConfiguration {
    /// Whether the sizes are CroissantLLM's, which no other published model shares.
    var isCroissant: Bool {
        layers == 24 && embeddingLength == 2048 && feedForwardLength == 5504 && heads == 16
    }
}
