"""What generated source may hold. It is parsed again before it is run, and refused if there is more in it.

Names of users reach the source only through `names.spelled`, numbers and sizes through their parsed values. This is
the second lock: statements and expressions of listed kinds, names that are bound in the module itself or listed
here, attributes that are listed here, and no name with two underscores.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Mapping
from typing import Any

from tpc.dsl.diagnostics import InternalError

STATEMENTS = (
    ast.Module, ast.FunctionDef, ast.Return, ast.Assign, ast.AugAssign, ast.For, ast.If, ast.Expr, ast.Break,
    ast.With, ast.withitem, ast.Try, ast.ExceptHandler, ast.Raise, ast.Import, ast.alias, ast.Pass,
)  # fmt: skip
EXPRESSIONS = (
    ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Call, ast.keyword, ast.Attribute, ast.Subscript, ast.Slice,
    ast.Name, ast.Constant, ast.Tuple, ast.List, ast.Starred, ast.IfExp, ast.Lambda, ast.arguments, ast.arg,
    ast.ListComp, ast.GeneratorExp, ast.comprehension, ast.JoinedStr, ast.FormattedValue,
    ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.expr_context,
)  # fmt: skip
BUILTINS = frozenset(
    "range len min max abs int float complex bool tuple list zip enumerate any all sum str divmod reversed sorted slice "
    "isinstance ValueError IndexError".split()
)
MODULES = frozenset(
    "pathlib math numpy scipy.fft scipy.linalg scipy.signal scipy.special torch torch.nn.functional".split()
)
# Methods and attributes of arrays, in both libraries.
ARRAY = frozenset(
    "T mT mH H astype reshape transpose swapaxes shape size ndim dtype copy sum prod min max real imag conj view item any all "
    "to new_zeros new_ones new_full permute flip diagonal clone detach index_add index_select resolve_conj mean clamp "
    "expand contiguous device numel amax amin dim is_complex is_floating_point values indices abs double float type "
    "append join items broadcast_to numpy cpu where finfo eps".split()
)
NUMPY = frozenset(
    "abs accumulate add all allclose any arange arccos arccosh arcsin arcsinh arctan arctan2 arctanh argmax argmin argsort "
    "array array_equal asarray at bool bool_ broadcast_shapes broadcast_to cbrt ceil clip complex128 complex64 concatenate conj "
    "cos cosh cross cumprod cumsum diag diagonal divide einsum empty equal errstate exp exp2 expand_dims expm1 eye fft "
    "finfo flip float16 float32 float64 floor floor_divide full greater hypot imag inf int32 int64 int8 iscomplexobj "
    "isfinite isinf isnan isrealobj kron linalg log log10 log1p log2 logaddexp logical_and logical_not logical_or max "
    "maximum mean median min minimum mod multiply nan ndindex negative ones outer pad power prod random real result_type "
    "rint roll searchsorted sign sinc sin sinh sort split sqrt square squeeze stack std subtract sum take take_along_axis "
    "tan tanh tile trace tril triu trunc uint32 var vdot where zeros ascontiguousarray load angle "
    "moveaxis ravel_multi_index "
    # numpy.linalg, fft, random
    "LinAlgError cholesky cond det eig eigh eigvals eigvalsh inv lstsq matrix_norm matrix_power matrix_rank norm pinv qr "
    "slogdet solve svd ifft rfft irfft fft2 ifft2 fftshift ifftshift Generator Philox standard_normal integers".split()
)
SCIPY = frozenset(
    "linalg special fft signal solve_triangular lu ldl expm logm sqrtm fractional_matrix_power expit logit ndtr log_ndtr "
    "ndtri erf erfc erfinv gamma gammaln digamma beta betaln xlogy i0 i1 i0e i1e j0 j1 logsumexp softmax log_softmax dct "
    "idct".split()
)
TORCH = frozenset(
    "Tensor tensor as_tensor from_numpy manual arange zeros ones full eye where maximum minimum remainder floor_divide abs "
    "sgn sign square sqrt rsqrt exp expm1 exp2 log log1p log2 log10 sin cos tan asin acos atan atan2 sinh cosh tanh asinh "
    "acosh atanh hypot floor ceil round trunc isnan isinf isfinite conj_physical real imag angle sigmoid logit relu "
    "logaddexp erf erfc erfinv lgamma digamma special xlogy sinc i0 i1 i0e i1e bessel_j0 bessel_j1 ndtr log_ndtr ndtri "
    "sum prod amax amin mean any all argmax argmin logsumexp var std median cumsum cumprod cummax linalg outer kron trace "
    "diag diagonal tril triu cross flip roll cat stack tensor_split chunk searchsorted sort argsort topk softmax "
    "log_softmax einsum broadcast_to unsqueeze float64 float32 float16 bfloat16 complex128 complex64 int64 int32 int8 "
    "bool inv inv_ex pinv solve solve_ex solve_triangular lstsq det slogdet cholesky cholesky_ex lu qr svd svdvals eigh "
    "eigvalsh eig eigvals matrix_exp matrix_power matrix_rank ldl_factor vector_norm matrix_norm fft ifft rfft irfft fft2 "
    "ifft2 fftshift ifftshift nn functional pad tile gather take_along_dim result_type zeros_like ones_like full_like "
    "isclose equal logical_and logical_or logical_not pow vdot dot empty nan inf pi dtype no_grad polygamma movedim "
    "broadcast_shapes broadcast_tensors complex view_as_real lu_factor ldl_solve".split()
)
OTHER = {"pathlib": frozenset(("Path",)), "math": frozenset("pi inf nan prod".split())}
ALLOWED = ARRAY | NUMPY | SCIPY | TORCH | OTHER["pathlib"] | OTHER["math"] | {"parent"}
ROOTS = {"np": NUMPY, "scipy": SCIPY, "torch": TORCH | ARRAY, **OTHER}


def check(source: str) -> ast.Module:
    """The parsed source.

    Raises
    ------
    InternalError
        If it holds anything that is not allowed.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError) as error:
        raise InternalError("emit", f"generated source does not parse: {error}") from error
    known = _bound(tree) | BUILTINS
    for item in ast.walk(tree):
        problem = _problem(item, known)
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


def _bound(tree: ast.Module) -> set[str]:
    """Every name that the module itself binds."""
    found: set[str] = set()
    for item in ast.walk(tree):
        if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store):
            found.add(item.id)
        elif isinstance(item, ast.arg):
            found.add(item.arg)
        elif isinstance(item, ast.FunctionDef):
            found.add(item.name)
        elif isinstance(item, ast.ExceptHandler) and item.name:
            found.add(item.name)
        elif isinstance(item, ast.alias):
            found.add(item.asname or item.name.split(".")[0])
    return found


def _problem(item: ast.AST, known: set[str]) -> str | None:
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
        case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()) if "__" in name or name in BUILTINS or name in ROOTS:
            return f"the name {name}"
        case ast.Name(id="__file__"):
            return None
        case ast.Name(id=name) if name not in known or "__" in name:
            return f"the name {name}"
        case ast.Attribute(attr=name, value=value, ctx=context):
            allowed = ROOTS.get(value.id, ALLOWED) if isinstance(value, ast.Name) else ALLOWED
            if name not in allowed or not isinstance(context, ast.Load):
                return f"the attribute {name}"
            if name == "load" and not (isinstance(value, ast.Name) and value.id == "np"):
                return "a load"
        case ast.Call(func=ast.Attribute(attr="load"), keywords=keywords):
            options = {k.arg: k.value for k in keywords}
            plain = options.get("allow_pickle")
            if not (isinstance(plain, ast.Constant) and plain.value is False):
                return "a load that allows pickles"
        case ast.Call(func=function) if not isinstance(function, (ast.Name, ast.Attribute)):
            return "a call of an expression"
        case ast.Constant(value=value) if isinstance(value, bytes):
            return "bytes"
        case ast.FormattedValue(conversion=conversion, format_spec=spec) if spec is not None or conversion not in (-1, 114):
            return "a format"
    return None
