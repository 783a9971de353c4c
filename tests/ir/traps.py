"""Tempting facts that do not hold, each with arguments that show it."""

import numpy as np

UP, DOWN = [[1.0, 0.0], [2.0, 3.0]], [[1.0, 2.0], [0.0, 3.0]]
BIG = [[2.0, 1.0], [1.0, 2.0]]
FLIP = [[0.0, 1.0], [1.0, 0.0]]
WIDE = [[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]]
TALL = [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
I2 = [[1.0, 0.0], [0.0, 1.0]]
N2 = [[-1.0, 0.0], [0.0, -1.0]]
TURN = [[0.0, -1.0], [1.0, 0.0]]
THREE = [[[4.0, 4.0], [4.0, 4.0]], [[4.0, 0.0], [0.0, 0.0]], [[0.0625, -0.125], [-0.125, 0.25]]]
RANK1 = [[1.0, 2.0], [2.0, 4.0]]
CYCLE = [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
BAND3 = [[2.0, 1.0, 0.0], [1.0, 2.0, 1.0], [0.0, 1.0, 2.0]]

# A name, the function, the tempting fact, and arguments that have the declared facts where the fact is false.
TRAPS = [
    (
        "sum of nonsingular matrices is not nonsingular",
        "def f(A: f64[n, n] is nonsingular, B: f64[n, n] is nonsingular) -> f64[n, n] = A + B",
        "nonsingular",
        [I2, N2],
    ),
    (
        "product of symmetric matrices is not symmetric",
        "def f(A: f64[n, n] is symmetric, B: f64[n, n] is symmetric) -> f64[n, n] = A @ B",
        "symmetric",
        [BIG, [[1.0, 0.0], [0.0, 2.0]]],
    ),
    (
        "product of spd matrices is not spd",
        "def f(A: f64[n, n] is spd, B: f64[n, n] is spd) -> f64[n, n] = A @ B",
        "symmetric",
        [BIG, [[1.0, 0.0], [0.0, 2.0]]],
    ),
    (
        "difference of spd matrices is not definite",
        "def f(A: f64[n, n] is spd, B: f64[n, n] is spd) -> f64[n, n] = A - B",
        "psd",
        [I2, BIG],
    ),
    (
        "difference of spd matrices is not nonsingular",
        "def f(A: f64[n, n] is spd, B: f64[n, n] is spd) -> f64[n, n] = A - B",
        "nonsingular",
        [I2, I2],
    ),
    (
        "lower times upper is not lower",
        "def f(L: f64[n, n] is lower, U: f64[n, n] is upper) -> f64[n, n] = L @ U",
        "lower",
        [UP, DOWN],
    ),
    (
        "lower times upper is not upper",
        "def f(L: f64[n, n] is lower, U: f64[n, n] is upper) -> f64[n, n] = L @ U",
        "upper",
        [UP, DOWN],
    ),
    (
        "lower times upper is not symmetric",
        "def f(L: f64[n, n] is lower, U: f64[n, n] is upper) -> f64[n, n] = L @ U",
        "symmetric",
        [UP, [[1.0, 5.0], [0.0, 3.0]]],
    ),
    (
        "Gram matrix of a wide matrix of full rank is singular",
        "def f(X: f64[n, m] is full_rank) -> f64[m, m] = X' @ X",
        "nonsingular",
        [WIDE],
    ),
    (
        "`where n >= m - 1` leaves room for a wide matrix",
        "def f(X: f64[n, m] is full_rank) -> f64[m, m] where n >= m - 1 = X' @ X",
        "spd",
        [WIDE],
    ),
    (
        "kron of a tall and a wide matrix is not of full rank",
        "def f(A: f64[3, 2] is full_rank, B: f64[2, 3] is full_rank) -> f64[6, 6] = kron(A, B)",
        "full_rank",
        [TALL, WIDE],
    ),
    (
        "inverse of a banded matrix is full",
        "def f(A: f64[3, 3] is banded(1, 1) and nonsingular) -> f64[3, 3] = inv(A)",
        "banded(1,1)",
        [BAND3],
    ),
    (
        "transpose of orthonormal columns",
        "def f(Q: f64[n, m] is orthonormal) -> f64[m, n] = Q'",
        "orthonormal",
        [[[1.0], [0.0]]],
    ),
    (
        "projection onto orthonormal columns is not the identity",
        "def f(Q: f64[n, m] is orthonormal) -> f64[n, n] = Q @ Q'",
        "nonsingular",
        [[[1.0], [0.0]]],
    ),
    (
        "wide times tall of full rank is not of full rank",
        "def f(A: f64[n, m] is full_rank, B: f64[m, n] is full_rank) -> f64[n, n] where m > n = A @ B",
        "full_rank",
        [[[1.0, 0.0]], [[0.0], [1.0]]],
    ),
    (
        "rank of a sum is no maximum",
        "def f(A: f64[3, 3] is low_rank(1), B: f64[3, 3] is low_rank(1)) -> f64[3, 3] = A + B",
        "low_rank(1)",
        [np.diag([1.0, 0, 0]).tolist(), np.diag([0, 1.0, 0]).tolist()],
    ),
    (
        "elementwise root of a psd matrix is not psd",
        "def f(A: f64[3, 3] is psd and nonnegative) -> f64[3, 3] = sqrt(A)",
        "psd",
        [[[1.0, 0.7, 0.0], [0.7, 1.0, 0.7], [0.0, 0.7, 1.0]]],
    ),
    (
        "exponential of entries is not what the exponential of the matrix is",
        "def f(A: f64[n, n] is symmetric) -> f64[n, n] = exp(A)",
        "spd",
        [[[0.0, 1.0], [1.0, 0.0]]],
    ),
    (
        "differences of numbers above zero",
        "def f(x: f64[n] is positive, y: f64[n] is positive) -> f64[n] = x - y",
        "nonnegative",
        [[1.0], [2.0]],
    ),
    (
        "an exponential may underflow to 0",
        "def f(x: f64[n]) -> f64[n] = exp(x)",
        "positive",
        [[-1000.0]],
    ),
    (
        "a sigmoid may underflow to 0",
        "def f(x: f64[n]) -> f64[n] = sigmoid(x)",
        "nonzero",
        [[-1000.0]],
    ),
    (
        "sum of permutations is none",
        "def f(P: f64[n, n] is permutation, Q: f64[n, n] is permutation) -> f64[n, n] = P + Q",
        "orthogonal",
        [I2, FLIP],
    ),
    (
        "sum of permutations is not nonsingular",
        "def f(P: f64[n, n] is permutation, Q: f64[n, n] is permutation) -> f64[n, n] = P + Q",
        "nonsingular",
        [I2, FLIP],
    ),
    (
        "a permutation is not symmetric",
        "def f(P: f64[n, n] is permutation) -> f64[n, n] = P'",
        "symmetric",
        [CYCLE],
    ),
    (
        "a multiple of an orthogonal matrix is not orthogonal",
        "def f(Q: f64[n, n] is orthogonal) -> f64[n, n] = 2 * Q",
        "orthogonal",
        [I2],
    ),
    (
        "a multiple by a number of unknown sign is not psd",
        "def f(A: f64[n, n] is psd, a: f64) -> f64[n, n] = a * A",
        "psd",
        [I2, -1.0],
    ),
    (
        "a multiple by a number that may be 0 is not nonsingular",
        "def f(A: f64[n, n] is nonsingular, a: f64 is nonnegative) -> f64[n, n] = a * A",
        "nonsingular",
        [I2, 0.0],
    ),
    (
        "a shift by a number that may be 0",
        "def f(A: f64[n, n] is psd, a: f64 is nonnegative) -> f64[n, n] = A + a * eye(n)",
        "spd",
        [RANK1, 0.0],
    ),
    (
        "a shift of a symmetric matrix",
        "def f(A: f64[n, n] is symmetric) -> f64[n, n] = A + eye(n)",
        "nonsingular",
        [N2],
    ),
    (
        "a number added to all entries is no shift of the diagonal",
        "def f(A: f64[n, n] is spd) -> f64[n, n] = A - 2",
        "psd",
        [I2],
    ),
    (
        "a number added to a lower matrix fills it",
        "def f(L: f64[n, n] is lower) -> f64[n, n] = L + 1",
        "lower",
        [UP],
    ),
    (
        "exp takes the zeros of a diagonal matrix to ones",
        "def f(D: f64[n, n] is diagonal) -> f64[n, n] = exp(D)",
        "diagonal",
        [I2],
    ),
    (
        "congruence with a wide matrix is not spd",
        "def f(S: f64[n, n] is spd, X: f64[n, m] is full_rank) -> f64[m, m] = X' @ S @ X",
        "spd",
        [I2, WIDE],
    ),
    (
        "congruence with another matrix is not symmetric",
        "def f(S: f64[n, n] is spd, X: f64[n, m], Y: f64[n, m]) -> f64[m, m] = X' @ S @ Y",
        "symmetric",
        [I2, BIG, UP],
    ),
    (
        "congruence with a matrix that is only symmetric is not psd",
        "def f(S: f64[n, n] is symmetric, X: f64[n, m]) -> f64[m, m] = X' @ S @ X",
        "psd",
        [N2, I2],
    ),
    (
        "A @ A is no Gram matrix",
        "def f(A: f64[n, n]) -> f64[n, n] = A @ A",
        "symmetric",
        [UP],
    ),
    (
        "the square of a skew matrix is not psd",
        "def f(A: f64[n, n] is skew) -> f64[n, n] = A @ A",
        "psd",
        [TURN],
    ),
    (
        "A + B' is not symmetric",
        "def f(A: f64[n, n], B: f64[n, n]) -> f64[n, n] = A + B'",
        "symmetric",
        [UP, I2],
    ),
    (
        "diagonal blocks do not make a matrix of blocks spd",
        "def f(A: f64[2, 2] is spd, B: f64[2, 2], C: f64[2, 2] is spd) -> f64[4, 4] = [A, B; B', C]",
        "psd",
        [I2, (5 * np.eye(2)).tolist(), I2],
    ),
    (
        "off-diagonal blocks that do not mirror each other",
        "def f(A: f64[2, 2] is symmetric, B: f64[2, 2]) -> f64[4, 4] = [A, B; B, A]",
        "symmetric",
        [I2, UP],
    ),
    (
        "blocks of full rank do not make full rank",
        "def f(A: f64[2, 2] is nonsingular, B: f64[2, 2] is nonsingular) -> f64[4, 4] = [A, A; B, B]",
        "nonsingular",
        [I2, BIG],
    ),
    (
        "rows added to a wide matrix of full rank",
        "def f(A: f64[2, 3] is full_rank, B: f64[1, 3]) -> f64[3, 3] = [A; B]",
        "full_rank",
        [WIDE, [[1.0, 1.0, 2.0]]],
    ),
    (
        "product of Toeplitz matrices is not Toeplitz",
        "def f(A: f64[3, 3] is toeplitz, B: f64[3, 3] is toeplitz) -> f64[3, 3] = A @ B",
        "toeplitz",
        [BAND3, CYCLE],
    ),
    (
        "inverse of a Toeplitz matrix is not Toeplitz",
        "def f(A: f64[3, 3] is toeplitz and nonsingular) -> f64[3, 3] = inv(A)",
        "toeplitz",
        [BAND3],
    ),
    (
        "unit triangular factors of different kinds",
        "def f(L: f64[n, n] is lower and unit_diagonal, U: f64[n, n] is upper and unit_diagonal) -> f64[n, n] = L @ U",
        "unit_diagonal",
        [[[1.0, 0.0], [2.0, 1.0]], [[1.0, 3.0], [0.0, 1.0]]],
    ),
    (
        "lower matrices stacked by kron with a rectangular one",
        "def f(A: f64[2, 2] is lower, B: f64[1, 2] is lower) -> f64[2, 4] = kron(A, B)",
        "lower",
        [[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0]]],
    ),
    (
        "the inverse of a nonnegative matrix has negative entries",
        "def f(A: f64[n, n] is nonnegative and nonsingular) -> f64[n, n] = inv(A)",
        "nonnegative",
        [BIG],
    ),
    (
        "the inverse of a stochastic matrix is not stochastic",
        "def f(A: f64[n, n] is row_stochastic and nonsingular) -> f64[n, n] = inv(A)",
        "row_stochastic",
        [[[0.75, 0.25], [0.25, 0.75]]],
    ),
    (
        "columns of a stochastic matrix do not sum to 1",
        "def f(A: f64[n, n] is row_stochastic) -> f64[n, n] = A'",
        "row_stochastic",
        [[[1.0, 0.0], [1.0, 0.0]]],
    ),
    (
        "softmax of columns has no rows that sum to 1",
        "def f(A: f64[n, m]) -> f64[n, m] = softmax(A, axis=0)",
        "row_stochastic",
        [UP],
    ),
    (
        "the sum of no entries is 0",
        "def f(x: f64[n] is positive) -> f64 = sum(x)",
        "positive",
        [[]],
    ),
    (
        "the trace of an empty matrix is 0",
        "def f(A: f64[n, n] is spd) -> f64 = trace(A)",
        "positive",
        [np.zeros((0, 0))],
    ),
    (
        "the norm of no entries is 0",
        "def f(x: f64[n] is nonzero) -> f64 = norm(x)",
        "positive",
        [[]],
    ),
    (
        "`where n >= 1` does not make n - 1 positive",
        "def f(x: f64[n]) -> f64 where n >= 1 = 0 * x[0] + (n - 1)",
        "positive",
        [[1.0]],
    ),
    (
        "an outer product of one entry is nonsingular, one of two is not",
        "def f(x: f64[n] is positive) -> f64[n, n] = outer(x, x)",
        "nonsingular",
        [[1.0, 1.0]],
    ),
    (
        "a batch has its facts in each matrix: a product with one matrix keeps no symmetry",
        "def f(A: f64[b, n, n] is symmetric, B: f64[n, n] is symmetric) -> f64[b, n, n] = A @ B",
        "symmetric",
        [[BIG], [[1.0, 0.0], [0.0, 2.0]]],
    ),
    (
        "a row added to each row of a symmetric matrix",
        "def f(A: f64[n, n] is symmetric, x: f64[n]) -> f64[n, n] = A + x",
        "symmetric",
        [I2, [1.0, 2.0]],
    ),
    (
        "columns scaled: a symmetric matrix loses its symmetry",
        "def f(A: f64[n, n] is spd, x: f64[n] is positive) -> f64[n, n] = A * x",
        "symmetric",
        [BIG, [1.0, 2.0]],
    ),
    (
        "the lower triangle of an spd matrix is not symmetric",
        "def f(A: f64[n, n] is spd) -> f64[n, n] = tril(A)",
        "symmetric",
        [BIG],
    ),
    (
        "a matrix of full rank keeps it in no part",
        "def f(A: f64[4, 4] is nonsingular) -> f64[2, 2] = A[0:2, 2:4]",
        "nonsingular",
        [np.eye(4).tolist()],
    ),
    (
        "absolute values of an spd matrix are not psd",
        "def f(A: f64[n, n] is spd) -> f64[n, n] = abs(A)",
        "psd",
        [[[1.0, 0.6, 0.0, -0.6], [0.6, 1.0, 0.6, 0.0], [0.0, 0.6, 1.0, 0.6], [-0.6, 0.0, 0.6, 1.0]]],
    ),
    (
        "the product of two negative bounds is a lower one",
        "def f(x: f64[n] is at_least(-2), y: f64[n] is at_least(-2)) -> f64[n] = x * y",
        "at_least(4)",
        [[1.0], [1.0]],
    ),
    (
        "a product of a semidefinite matrix and a symmetric one has negative eigenvalues",
        "def f(A: f64[n, n] is psd, B: f64[n, n] is symmetric) -> f64[n, n] = eye(n) + A @ B",
        "nonsingular",
        [I2, N2],
    ),
    (
        "a product of three semidefinite matrices has other eigenvalues",
        "def f(A: f64[n, n] is psd, B: f64[n, n] is psd, C: f64[n, n] is psd) -> f64[n, n] = eye(n) + A @ B @ C",
        "nonsingular",
        THREE,
    ),
    (
        "a quotient is not bounded by that of the bounds",
        "def f(x: f64[n] is at_most(1), y: f64[n] is positive) -> f64[n] = x / y",
        "at_most(1)",
        [[1.0], [0.1]],
    ),
    (
        "a mean of squares minus a square of a mean, as it is written",
        "def f(x: f64[n]) -> f64 = mean(x) - mean(x)^2",
        "nonnegative",
        [[-1.0]],
    ),
    (
        "an even power of one operand says nothing of an odd one",
        "def f(x: f64[n]) -> f64[n] = x^3",
        "nonnegative",
        [[-1.0]],
    ),
]
