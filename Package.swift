// swift-tools-version: 6.2
import PackageDescription

/// What every Swift target is compiled with: Swift 6 mode with nothing implicit, spans that can be returned from our
/// own types, and the compiler's own list of every unsafe expression.
let swiftSettings: [SwiftSetting] = [
    .enableExperimentalFeature("Lifetimes"),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .strictMemorySafety(),
]

let package = Package(
    name: "croissant-gguf",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "Croissant", targets: ["Croissant"]),
        .library(name: "GGUF", targets: ["GGUF"]),
        .library(name: "DemonstrationModel", targets: ["DemonstrationModel"]),
        .executable(name: "croissant-gguf", targets: ["CroissantCLI"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        .package(url: "https://github.com/onevcat/Rainbow", from: "4.2.2"),
        .package(url: "https://github.com/ordo-one/TextTable", from: "0.0.2"),
        .package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.5.0"),
    ],
    targets: [
        .systemLibrary(
            name: "COpenBLAS",
            pkgConfig: "openblas",
            providers: [.apt(["libopenblas-dev"])]),
        .target(name: "CKernels"),
        .target(name: "GGUF", swiftSettings: swiftSettings),
        .target(
            name: "Croissant",
            dependencies: [
                "GGUF", "CKernels",
                // On macOS, Accelerate is the BLAS.
                .target(name: "COpenBLAS", condition: .when(platforms: [.linux])),
            ],
            exclude: ["Tokenizer/Unicode/make_unicode_data.py"],
            swiftSettings: swiftSettings),
        .target(name: "CDemonstrationModel", path: "Models/Embedded"),
        // Apart from the engine: a program that brings its own model does not carry this one.
        .target(
            name: "DemonstrationModel", dependencies: ["CDemonstrationModel", "GGUF"], swiftSettings: swiftSettings),
        .executableTarget(
            name: "CroissantCLI",
            dependencies: [
                "Croissant", "DemonstrationModel", "GGUF",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "Rainbow", package: "Rainbow"),
                .product(name: "TextTable", package: "TextTable"),
            ],
            swiftSettings: swiftSettings,
            plugins: ["Commit"]),
        .plugin(name: "Commit", capability: .buildTool()),
        .executableTarget(
            name: "KernelBenchmarks",
            dependencies: [
                "Croissant", "GGUF",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "TextTable", package: "TextTable"),
            ],
            path: "Benchmarks/Kernels",
            swiftSettings: swiftSettings),
        .testTarget(name: "GGUFTests", dependencies: ["GGUF"], swiftSettings: swiftSettings),
        .testTarget(
            name: "CKernelsTests",
            dependencies: ["CKernels"],
            exclude: ["make_dequantization_hashes.py"],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "CroissantTests",
            dependencies: ["Croissant", "DemonstrationModel", "GGUF"],
            exclude: ["Golden"],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "CroissantCLITests", dependencies: ["CroissantCLI", "Croissant"], swiftSettings: swiftSettings),
    ],
    cLanguageStandard: .c17
)
