"""What generated source may hold. It is parsed again before it is run, and refused if there is more in it.

Names of users reach the source only through `names.spelled`, numbers and sizes through their parsed values. This is
the second lock: statements and expressions of listed kinds, names that are bound in the module itself or listed
here, attributes that are listed here, and no name with two underscores.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from tpc.backends.code import parsed
from tpc.backends.names import words
from tpc.dsl.diagnostics import InternalError

STATEMENTS = (
    ast.Module, ast.FunctionDef, ast.Return, ast.Assign, ast.AugAssign, ast.Delete, ast.For, ast.If, ast.Expr,
    ast.Break, ast.With, ast.withitem, ast.Try, ast.ExceptHandler, ast.Raise, ast.Import, ast.alias, ast.Pass,
)  # fmt: skip
EXPRESSIONS = (
    ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Call, ast.keyword, ast.Attribute, ast.Subscript, ast.Slice,
    ast.Name, ast.Constant, ast.Tuple, ast.List, ast.Starred, ast.IfExp, ast.Lambda, ast.arguments, ast.arg,
    ast.ListComp, ast.GeneratorExp, ast.comprehension, ast.JoinedStr, ast.FormattedValue,
    ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.expr_context,
)  # fmt: skip
MARKS = (ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.expr_context)  # half of all there is, and all allowed
BUILTINS = words(
    "range len min max abs int float complex bool str tuple list dict map zip any all isinstance ValueError IndexError "
    "RuntimeError"
)
MODULES = words(
    "pathlib math numpy scipy.fft scipy.linalg scipy.signal scipy.sparse scipy.sparse.linalg scipy.special torch "
    "torch.nn.functional"
)
# Methods and attributes of arrays, in both libraries.
ARRAY = words(
    "abs all amax amin any append astype broadcast_to c_contiguous clone conj contiguous copy copy_ cpu detach "
    "data device diagonal dtype eps expand f_contiguous finfo flags flip imag index_add indices is_complex item join "
    "max mean mH min mT ndim numel numpy permute prod ravel real reshape resolve_neg scatter shape size sum swapaxes T "
    "tiny to tolist transpose values view where"
)
NUMPY = words(
    "abs accumulate add all angle any arange arccos arccosh arcsin arcsinh arctan arctan2 arctanh argmax argmin "
    "argsort array array_equal asarray at atleast_2d bool bool_ broadcast_shapes broadcast_to cbrt ceil cholesky clip "
    "complex128 complex64 concatenate conj cos cosh count_nonzero cross cumprod cumsum det diag diagonal divide eig "
    "eigh eigvals eigvalsh einsum empty errstate exp exp2 expand_dims expm1 eye fft fft2 fftshift finfo flip "
    "float16 float32 float64 floor floor_divide full Generator hypot ifft ifft2 ifftshift imag inf int32 int64 int8 "
    "integers inv irfft iscomplexobj isfinite isinf isnan isrealobj kron linalg LinAlgError load log log10 log1p "
    "log2 logaddexp logical_and logical_not logical_or lstsq matrix_power matrix_rank max maximum mean median min "
    "minimum mod moveaxis multiply nan ndarray ndindex negative nonzero norm ones outer packbits pad Philox pinv "
    "power prod qr random real repeat result_type rfft rint roll searchsorted sign sin sinc sinh slogdet solve "
    "sort split sqrt square stack standard_normal std subtract sum svd take_along_axis tan tanh tile trace tril "
    "triu trunc uint16 uint8 uint32 unpackbits var vdot where "
    "zeros convolve correlate lib matmul sliding_window_view stride_tricks"
)
SCIPY = words(
    "beta betaln dct dia_array digamma erf erfc erfinv expit expm fft fractional_matrix_power gamma gammaln "
    "get_blas_funcs get_lapack_funcs i0 i0e i1 i1e idct ifft irfft j0 j1 ldl linalg log_ndtr log_softmax logit logm "
    "logsumexp lu ndtr ndtri next_fast_len rfft schur softmax solveh_banded sparse special sqrtm xlogy zeta"
)
SPARSE = words(
    "bsr_array csc_array csc_matrix csr_array dia_array has_canonical_format indptr issparse kron multiply perm_c "
    "perm_r sort_indices splu spsolve_triangular sum_duplicates toarray tril triu U writeable"
)
TORCH = words(
    "abs acos acosh all amax amin angle any arange argmax argmin argsort as_tensor asin asinh atan atan2 atanh "
    "bessel_j0 bessel_j1 bfloat16 bool broadcast_shapes broadcast_to cat ceil cholesky cholesky_ex cholesky_inverse "
    "cholesky_solve clamp complex128 complex64 conj_physical cos cosh cross cummax cumprod cumsum det diag diagonal "
    "diagonal_scatter digamma dtype eig eigh eigvals eigvalsh einsum empty erf erfc erfinv exp exp2 expm1 eye fft "
    "fft2 fftshift flip float16 float32 float64 floor floor_divide from_numpy full functional gather hypot i0 i0e i1 "
    "i1e ifft ifft2 ifftshift imag index_put inf int32 int64 int8 inv inv_ex irfft isfinite isinf isnan kron "
    "ldl_factor_ex lgamma linalg log log10 log1p log2 log_ndtr log_softmax logaddexp logical_and logical_not "
    "logical_or logit logsumexp lstsq lu lu_factor_ex lu_solve matrix_exp matrix_power matrix_rank maximum mean "
    "median minimum movedim nan ndtr ndtri nn ones ones_like outer pad pi pinv prod qr real relu remainder "
    "repeat_interleave result_type rfft roll round rsqrt searchsorted sgn sigmoid sign sin sinc sinh slogdet softmax "
    "solve solve_ex solve_triangular sort special sqrt square stack std sum svd svdvals tan tanh tensor_split tile "
    "trace tril triu trunc unsqueeze var vdot vector_norm where xlogy zeros zeros_like zeta"
)
OTHER = {"pathlib": frozenset(("Path",)), "math": words("pi inf nan prod")}
ALLOWED = ARRAY | NUMPY | SCIPY | SPARSE | TORCH | OTHER["pathlib"] | OTHER["math"] | {"parent"}
ROOTS = {"np": NUMPY, "scipy": SCIPY | SPARSE, "torch": TORCH | ARRAY, **OTHER}


def check(source: str) -> ast.Module:
    """The parsed source.

    Raises
    ------
    InternalError
        If it holds anything that is not allowed.
    """
    try:
        tree = parsed(source)
    except (SyntaxError, ValueError, RecursionError) as error:
        raise InternalError("emit", f"generated source does not parse: {error}") from error
    items = list(ast.walk(tree))
    known = _bound(items) | BUILTINS
    reads = {id(part) for statement in tree.body if _reads_constant(statement) for part in ast.walk(statement)}
    for item in items:
        if isinstance(item, MARKS):
            continue
        problem = _problem(item, known, id(item) in reads)
        if problem:
            line = getattr(item, "lineno", "?")
            raise InternalError("emit", f"generated source is refused: {problem} in line {line}")
    return tree


def namespace(tree: ast.Module, modules: Mapping[str, Any], constants: Mapping[str, Any]) -> dict[str, Any]:
    """What the checked module defines, run with listed builtins and given modules alone."""
    allowed = {name: getattr(builtins, name) for name in BUILTINS}
    given = {"__builtins__": {**allowed, "__import__": _import}, **modules, **constants}
    kept = [s for s in tree.body if not isinstance(s, ast.Import) and not _assigns(s, constants)]
    body = ast.Module(kept, [])
    exec(compile(body, "<tpc>", "exec"), given)  # noqa: S102  (checked above: no other way makes a function of source)
    return given


def _import(name: str, *more: Any) -> Any:
    """What libraries import while they are called from generated code, which cannot name this function itself."""
    if name.partition(".")[0] not in ("numpy", "scipy", "torch") and name not in sys.modules:
        raise ImportError(f"generated code does not import {name}")
    return builtins.__import__(name, *more)


def _assigns(statement: ast.stmt, names: Mapping[str, Any]) -> bool:
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return any(isinstance(t, ast.Name) and (t.id in names or t.id == "HERE") for t in targets)


def _bound(items: Sequence[ast.AST]) -> set[str]:
    """Every name that the module itself binds."""
    found: set[str] = set()
    for item in items:
        if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store):
            found.add(item.id)
        elif isinstance(item, ast.arg):
            found.add(item.arg)
        elif isinstance(item, ast.FunctionDef):
            found.add(item.name)
        elif isinstance(item, ast.ExceptHandler):
            found.add(item.name or "")
        elif isinstance(item, ast.alias):
            found.add(item.asname or item.name.partition(".")[0])
    return found


def _reads_constant(statement: ast.stmt) -> bool:
    """Whether this is `HERE = ...`, or `W = np.load(HERE / "file", allow_pickle=False)` with what may stand around it.

    These lines are for the saved module; in this process they are left out and constants are handed in.
    """
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return False
    if ast.unparse(statement) == "HERE = pathlib.Path(__file__).parent":
        return True
    calls = [n for n in ast.walk(statement) if isinstance(n, ast.Call) and ast.unparse(n.func) == "np.load"]
    match calls:
        case [
            ast.Call(
                args=[ast.BinOp(left=ast.Name(id="HERE"), op=ast.Div(), right=ast.Constant(value=str(path)))],
                keywords=[ast.keyword(arg="allow_pickle", value=ast.Constant(value=False))],
            )
        ]:
            return not path.startswith(("/", "\\")) and ".." not in path and ":" not in path
    return False


def _problem(item: ast.AST, known: set[str], reads: bool) -> str | None:
    if not isinstance(item, (*STATEMENTS, *EXPRESSIONS)):
        return f"a {type(item).__name__}"
    match item:
        case ast.Import(names=aliases):
            wrong = [a for a in aliases if a.name not in MODULES or a.asname not in (None, "np")]
            if wrong or any(a.asname == "np" and a.name != "numpy" for a in aliases):
                return f"the import of {aliases[0].name}"
        case ast.FunctionDef(name=name, decorator_list=decorators):
            if decorators or "__" in name or name in BUILTINS or name in ROOTS:
                return f"the function {name}"
        case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store() | ast.Del()) if (
            "__" in name or name in BUILTINS or name in ROOTS
        ):
            return f"the name {name}"
        case ast.Delete(targets=targets) if not all(isinstance(t, ast.Name) for t in targets):
            return "a deletion"
        case ast.Name(id="__file__" | "pathlib") if reads:
            return None
        case ast.Name(id="pathlib"):
            return "the name pathlib"
        case ast.Name(id=name) if name not in known or "__" in name:
            return f"the name {name}"
        case ast.Attribute(attr=name, value=value, ctx=context):
            allowed = ROOTS.get(value.id, ALLOWED) if isinstance(value, ast.Name) else ALLOWED
            if name not in allowed or not isinstance(context, ast.Load):
                return f"the attribute {name}"
            if name == "load" and not reads:
                return "a load"
        case ast.Call(func=function) if not isinstance(function, (ast.Name, ast.Attribute)):
            return "a call of an expression"
        case ast.Constant(value=value) if isinstance(value, bytes):
            return "bytes"
        case ast.FormattedValue(conversion=conversion, format_spec=spec) if spec is not None or conversion not in (
            -1,
            114,
        ):
            return "a format"
    return None
