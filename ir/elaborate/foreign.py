"""What functions of other languages are called here."""

from __future__ import annotations

from tpc.dsl.habits import SPELLED

# An expression that says the same, for arguments X, Y, ...
WRITTEN = {
    "hstack": "[X, Y]",
    "vstack": "[X; Y]",
    "cbind": "[X, Y]",
    "rbind": "[X; Y]",
    "column": "unsqueeze(x, 1)",
    "row": "unsqueeze(x, 0)",
    "column_stack": "[X, Y]",
    "crossprod": "X' @ Y",
    "t": "X'",
    "array": "[1, 2, 3]",
    "c": "[1, 2, 3]",
    "I": "eye(n)",
    "flatten": "vec(X)",
    "ravel": "vec(X)",
    "matmul": "X @ Y",
    "mm": "X @ Y",
    "bmm": "X @ Y",
    "multiply": "X * Y",
    "einsum": "C[i, k] = sum[j](A[i, j] * B[j, k])",
    "meshgrid": "G[i, j] = f(x[i], y[j])",
    "cat": "concat(x, y)",
    "numel": "size(X)",
    "length": "len(x)",
    "rowSums": "sum(X, axis=1)",
    "colSums": "sum(X, axis=0)",
    "rowMeans": "mean(X, axis=1)",
    "colMeans": "mean(X, axis=0)",
    "tr": "trace(X)",
    "sd": "std(x)",
    "ln": "log(x)",
    "lm": "lstsq(X, y)",
    "rnorm": "normal(n, seed=1)",
    "runif": "uniform(n, seed=1)",
    "fabs": "abs(x)",
    "linsolve": "A \\ b",
    "mldivide": "A \\ b",
    "repmat": "tile(x, 3)",
    "diagm": "diag(x)",
    "nrow": "rows(X)",
    "ncol": "cols(X)",
    "shape": "rows(X)",
    "range": "arange(n)",
    "ginv": "pinv(X)",
    "chol": "cholesky(X)",
    "expit": "sigmoid(x)",
    "percentile": "quantile(x, 0.25)",
    "corrcoef": "corr(X)",
    "ifelse": "select(c, x, y)",
    "normal_pdf": "exp(-x^2 / 2) / sqrt(2 * pi)",
    "normal_cdf": "(1 + erf(x / sqrt(2))) / 2",
    "rand": "uniform(n, seed=1)",
    "randn": "normal(n, seed=1)",
    "randint": "cast(floor(n * uniform(k, seed=1)), i64)",
    **{method: f"solve(A, b, method={method})" for method in ("cg", "minres", "gmres", "bicgstab", "lsqr")},
    **dict.fromkeys(("pcg", "cgs"), "solve(A, b, method=cg)"),
    **dict.fromkeys(("spsolve", "linear_solve"), "A \\ b"),
    "map": "y[i] = f(x[i])",
    **dict.fromkeys(("solve_sylvester", "sylv"), "sylvester(A, B, C)"),
    **dict.fromkeys(("lyap", "lyapunov", "solve_continuous_lyapunov"), "sylvester(A, A', Q)"),
    "append": "concat(x, [y])",
    "cdist": "D[i, j] = sqrt(sum[k]((X[i, k] - Y[j, k])^2))",
}

# What names of other languages stand for.
NAMES = {
    "I": "write `eye(n)`",
    "e": "write `exp(1)`",
    "end": "the last entry is `x[-1]`",
    "NULL": "leave it out",
    "None": "leave it out",
    "Inf": "write `inf`",
    "NA": "write `nan`",
}
# What options of other languages are called here.
OPTIONS = {"dim": "axis", "dims": "axis", "axes": "axis", "keepdim": "keepdims"}


def spelling(name: str) -> str | None:
    """A help for a function that is not there, if it is known from elsewhere."""
    if name in WRITTEN:
        return f"write `{WRITTEN[name]}`"
    return f"it is called `{SPELLED[name]}`" if name in SPELLED else None
