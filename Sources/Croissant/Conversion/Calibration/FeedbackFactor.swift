/// What rounding errors are fed forward with: the upper triangle of U, for which transpose(U) * U is the inverse of H.
package struct FeedbackFactor: ~Copyable {
    private var elements: FloatBuffer
    private var columns = 0

    /// Room for a factor of `columns` rows; throws where the system refuses the memory.
    package init(columns: Int) throws(ModelError) {
        elements = try FloatBuffer.allocate(columns * columns, purpose: "a Cholesky factor")
    }

    /// Bytes of a factor of `columns` rows.
    static func byteCount(columns: Int) -> Int { columns * columns * MemoryLayout<Float>.stride }

    /// Factorises the inverse of a closed H, whose diagonal is about 1.
    ///
    /// H is positive definite, but rounding errors of the inverse may leave a matrix that is not: then ever more is added
    /// to the diagonal, until H is as good as the unit matrix, and errors are fed to no one.
    ///
    /// - Parameter goesOn: asked between steps, which take a second of a matrix of some thousand rows; returning false
    ///   stops, and leaves no factor.
    /// - Returns: whether it has come to its end.
    @discardableResult
    package mutating func factorize(_ moments: borrowing InputMoments, while goesOn: () -> Bool = { true }) -> Bool {
        columns = moments.columns
        var constant: Float = 0
        while let found = Self.factorize(moments.hessian, columns, adding: constant, into: &elements, while: goesOn) {
            if found { return true }
            guard constant < Float(columns) else {
                Self.setUnit(&elements, columns)
                return true
            }
            constant = constant == 0 ? 1e-3 : constant * 10
        }
        return false
    }

    private static func setUnit(_ elements: inout FloatBuffer, _ columns: Int) {
        var u = elements.mutableSlice(0..<columns * columns)
        for index in u.indices { u[index] = index % (columns + 1) == 0 ? 1 : 0 }
    }

    /// Whether there is a factor, of numbers: LAPACK takes what is none for positive. Nil where it was stopped.
    private static func factorize(
        _ hessian: Span<Float>, _ columns: Int, adding constant: Float, into elements: inout FloatBuffer,
        while goesOn: () -> Bool
    ) -> Bool? {
        var u = elements.mutableSlice(0..<columns * columns)
        for index in u.indices { u[index] = hessian[index] }
        for column in 0..<columns { u[column * columns + column] += constant }
        guard goesOn() else { return nil }
        guard BLAS.factor(&u, n: columns) else { return false }
        guard goesOn() else { return nil }
        guard BLAS.invert(&u, n: columns) else { return false }
        guard goesOn() else { return nil }
        guard BLAS.factor(&u, n: columns) else { return false }
        return (0..<columns).allSatisfy { column in
            let element = u[column * columns + column]
            return element > 0 && element.isFinite
        }
    }

    /// U in rows of as many floats as there are columns; what is below its diagonal means nothing.
    package var upper: Span<Float> {
        @_lifetime(borrow self)
        get { elements.span.extracting(0..<columns * columns) }
    }

    /// What an error of each column costs where the columns behind it make up for it as well as they can: 1 / U[j][j]².
    package var costs: [Float] {
        let u = upper
        return (0..<columns).map { column in
            let element = u[column * columns + column]
            return 1 / (element * element)
        }
    }
}
