import Foundation

/// What a comparison needs to know of a row of `bench -o json`.
package struct ComparedRow: SavedRow {
    /// The model's name.
    package let model: String
    /// The test's name, such as "pp512".
    package let test: String
    /// Tokens a second of each run of one process, in the order of time.
    package let samples: [Double]
    /// How the test was run, as far as the file says.
    package let settings: [Setting: String]

    /// What distinguishes rows of the same test, under its name in the file; what describes the model comes first.
    package enum Setting: String, CodingKey, CaseIterable {
        case fileType, modelBytes, threads, promptThreads, keyType, valueType, batchSize, kernels, weights, prefill,
            activations

        /// Settings that older programs do not write, or that not every model has.
        fileprivate var isOptional: Bool {
            [.fileType, .promptThreads, .prefill, .activations].contains(self)
        }
    }

    private enum Key: String, CodingKey {
        case model, test, samples
    }

    /// Reads an object; keys without meaning here are ignored.
    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        model = try container.decode(String.self, forKey: .model)
        test = try container.decode(String.self, forKey: .test)
        samples = try container.decode([Double].self, forKey: .samples)
        let others = try decoder.container(keyedBy: Setting.self)
        var settings: [Setting: String] = [:]
        for setting in Setting.allCases {
            if setting.isOptional, try !others.contains(setting) || others.decodeNil(forKey: setting) { continue }
            if let number = try? others.decode(Int.self, forKey: setting) {
                settings[setting] = "\(number)"
            } else {
                settings[setting] = try others.decode(String.self, forKey: setting)
            }
        }
        self.settings = settings
    }
}
