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

    /// Factorises the inverse of a closed H.
    ///
    /// H is positive definite, but rounding errors of the inverse may leave a matrix that is not: then ever more is added
    /// to the diagonal.
    package mutating func factorize(_ moments: borrowing InputMoments) {
        columns = moments.columns
        var constant: Float = 0
        while !Self.factorize(moments.hessian, columns, adding: constant, into: &elements) {
            constant = constant == 0 ? 1e-4 * Self.largest(moments.hessian, columns) : constant * 10
        }
    }

    /// The largest number on the diagonal.
    private static func largest(_ hessian: Span<Float>, _ columns: Int) -> Float {
        (0..<columns).reduce(0) { max($0, hessian[$1 * columns + $1]) }
    }

    private static func factorize(
        _ hessian: Span<Float>, _ columns: Int, adding constant: Float, into elements: inout FloatBuffer
    ) -> Bool {
        var u = elements.mutableSlice(0..<columns * columns)
        for index in u.indices { u[index] = hessian[index] }
        for column in 0..<columns { u[column * columns + column] += constant }
        return BLAS.factor(&u, n: columns) && BLAS.invert(&u, n: columns) && BLAS.factor(&u, n: columns)
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
