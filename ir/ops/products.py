"""Products, and what rearranges the entries of vectors and matrices: the multilinear part of the language."""

from __future__ import annotations

from tpc.ir.dims import minimum
from tpc.ir.formula import Access, Apply, Formula, LetterValue, Literal
from tpc.ir.op import Attributes, Misfit, Op, bind
from tpc.ir.ops.entries import entries_of
from tpc.ir.ops.indexing import (
    ZERO,
    access,
    checked_axis,
    checked_rank,
    letters_of,
    option_misfit,
    over,
    typed_by,
)
from tpc.ir.types import TensorType

TRANSPOSED = """
    lower(A)         |- upper(this)
    upper(A)         |- lower(this)
    symmetric(A)     |- symmetric(this)
    psd(A)           |- psd(this)
    spd(A)           |- spd(this)
    orthogonal(A)    |- orthogonal(this)
    permutation(A)   |- permutation(this)
    nonsingular(A)   |- nonsingular(this)
    full_rank(A)     |- full_rank(this)
    unit_diagonal(A) |- unit_diagonal(this)
    toeplitz(A)      |- toeplitz(this)
    circulant(A)     |- circulant(this)
    banded(A, k, l)  |- banded(this, l, k)
    low_rank(A, r)   |- low_rank(this, r)
    sparse(A, d)     |- sparse(this, d)
    skew(A)          |- skew(this)
    projection(A, r) |- projection(this, r)
    spd(this)        |- spd(A)
    full_rank(this)  |- full_rank(A)
""" + entries_of("A")

INNER = """
    nonnegative(x), nonnegative(y) |- nonnegative(this)
    positive(x), positive(y)       |- positive(this)    where nonempty(x)
    |- nonnegative(this)                                where same(x, y)
    nonzero(x)                     |- positive(this)    where same(x, y), nonempty(x)
"""


def _kron_line(operands: list[TensorType], attributes: Attributes) -> str:
    ranks = [o.rank for o in operands]
    if ranks == [1, 1]:
        return "kron(A[i], B[p])[(i p)] = A[i] * B[p]"
    if 1 in ranks:
        number = ranks.index(1)
        raise Misfit(
            "E0204",
            "`kron` needs two matrices or two vectors",
            [(number, f"this is {operands[number]}")],
            "make the vector a column with unsqueeze(x, axis=1), or a row with unsqueeze(x, axis=0)",
        )
    return KRON_LINE


KRON_LINE = "kron(A[..., i, j], B[..., p, q])[..., (i p), (j q)] = A[..., i, j] * B[..., p, q]"


def _permute(operands: list[TensorType], attributes: Attributes) -> Formula:
    x, axes = operands[0], attributes["axes"]
    if not isinstance(axes, tuple):
        raise option_misfit("permute", "axes", axes, "a tuple with every axis once, as in axes=(0, 2, 1)")
    order = [checked_axis("permute", axis, x.rank, "axes") for axis in axes]
    if sorted(order) != list(range(x.rank)):
        raise option_misfit("permute", "axes", axes, "a tuple with every axis once, as in axes=(0, 2, 1)")
    letters = letters_of(x)
    return over([letters[n] for n in order], [x.dims[n] for n in order], access(0, letters))


def _diag(operands: list[TensorType], attributes: Attributes) -> Formula:
    x = operands[0]
    checked_rank("diag", operands, 0, 1)
    if x.rank == 1:
        equal = Apply("eq", (LetterValue("i"), LetterValue("j")))
        return over("ij", [x.dims[0], x.dims[0]], Apply("select", (equal, access(0, "i"), ZERO)))
    batch = letters_of(x)[:-2]
    return over([*batch, "k"], [*x.dims[:-2], minimum(*x.dims[-2:])], access(0, [*batch, "k", "k"]))


def _triangle(name: str, relation: str) -> Op:
    facts = {
        "tril": """
            |- lower(this) where k <= 0
            |- low_rank(this, max(rows(A) + k, 0)) where k < 0
        """,
        "triu": """
            |- upper(this) where k >= 0
            |- low_rank(this, max(cols(A) - k, 0)) where k > 0
        """,
    }

    def line(operands: list[TensorType], attributes: Attributes) -> str:
        shift = attributes["k"]
        if not isinstance(shift, int):
            raise option_misfit(name, "k", shift, "an integer")
        guard = f"j - i {relation} {shift}" if shift else f"j {relation} i"
        return f"{name}(A[..., i, j])[..., i, j] = select({guard}, A[..., i, j], 0)"

    return Op(
        name=name,
        line=f"{name}(A[..., i, j])[..., i, j]",
        line_by=line,
        about=f"the entries {'on and below' if name == 'tril' else 'on and above'} diagonal k, else 0",
        group="products",
        options={"k": 0},
        facts=facts[name]
        + """
            lower(A) |- lower(this)
            upper(A) |- upper(this)
            banded(A, a, b) |- banded(this, a, b)
            sparse(A, d) |- sparse(this, d)
            nonnegative(A) |- nonnegative(this)
            toeplitz(A) |- toeplitz(this)
        """,
    )


def _cross(operands: list[TensorType], attributes: Attributes) -> Formula:
    binding = bind(CROSS, operands, attributes)
    batch = [f"b{n}" for n in range(len(binding.batch))]

    def entry(operand: int, step: int) -> Access:
        dims = operands[operand].dims[:-1]
        names = batch[len(batch) - len(dims) :]
        stretched = [
            ZERO if dim == 1 and extent != 1 else LetterValue(name)
            for dim, extent, name in zip(dims, binding.batch[len(batch) - len(dims) :], names, strict=True)
        ]
        turned = Apply("mod", (Apply("add", (LetterValue("i"), Literal(str(step)))), Literal("3")))
        return Access(operand, (*stretched, turned))

    ahead = Apply("mul", (entry(0, 1), entry(1, 2)))
    back = Apply("mul", (entry(0, 2), entry(1, 1)))
    return over([*batch, "i"], [*binding.batch, 3], Apply("sub", (ahead, back)))


CROSS = Op(
    name="cross",
    line="cross(x[..., 3], y[..., 3])[..., 3]",
    about="cross product of vectors in space",
    group="products",
    formula_by=_cross,
    typing=typed_by(_cross),
)


PRODUCTS: list[Op] = [
    Op(
        name="matmul",
        line="matmul(A[..., i, k], B[..., k, j])[..., i, j] = sum[k](A[..., i, k] * B[..., k, j])",
        about="matrix product",
        group="products",
        operator="@",
        facts="""
            lower(A), lower(B)                 |- lower(this)
            upper(A), upper(B)                 |- upper(this)
            lower(A), unit_diagonal(A), lower(B), unit_diagonal(B) |- unit_diagonal(this) where square(A), square(B)
            upper(A), unit_diagonal(A), upper(B), unit_diagonal(B) |- unit_diagonal(this) where square(A), square(B)
            orthogonal(A), orthogonal(B)       |- orthogonal(this)
            orthonormal(A), orthonormal(B)     |- orthonormal(this)
            permutation(A), permutation(B)     |- permutation(this)
            nonsingular(A), nonsingular(B)     |- nonsingular(this)
            full_rank(A), nonsingular(B)       |- full_rank(this)
            nonsingular(A), full_rank(B)       |- full_rank(this)
            circulant(A), circulant(B)         |- circulant(this)
            row_stochastic(A), row_stochastic(B) |- row_stochastic(this)
            nonnegative(A), nonnegative(B)     |- nonnegative(this)
            banded(A, a, b), banded(B, c, d)   |- banded(this, a + c, b + d)
            low_rank(A, r)                     |- low_rank(this, r)
            low_rank(B, r)                     |- low_rank(this, r)
            |- low_rank(this, cols(A))         where cols(A) < rows(A), cols(A) < cols(B)
            full_rank(A), full_rank(B)         |- full_rank(this) where rows(A) >= cols(A), rows(B) >= cols(B)
            full_rank(A), full_rank(B)         |- full_rank(this) where rows(A) <= cols(A), rows(B) <= cols(B)
            lower(A), toeplitz(A), lower(B), toeplitz(B) |- toeplitz(this) where square(A), square(B)
            upper(A), toeplitz(A), upper(B), toeplitz(B) |- toeplitz(this) where square(A), square(B)
            positive(A), positive(B)           |- positive(this)     where cols(A) >= 1
            row_stochastic(A), at_least(B, a)  |- at_least(this, a)
            row_stochastic(A), at_most(B, a)   |- at_most(this, a)
            |- psd(this)                       where transposed(A, B)
            full_rank(B)                       |- spd(this)          where transposed(A, B), rows(B) >= cols(B)
            orthonormal(A)                     |- projection(this, cols(A)) where transposed(A, B)
            orthonormal(B)                     |- diagonal(this)     where transposed(A, B)
            orthonormal(B)                     |- unit_diagonal(this) where transposed(A, B)
            full_rank(this)                    |- full_rank(A)       where rows(this) <= cols(this)
            full_rank(this)                    |- full_rank(B)       where rows(this) >= cols(this)
        """,
    ),
    Op(
        name="matvec",
        line="matvec(A[..., i, k], x[k])[..., i] = sum[k](A[..., i, k] * x[k])",
        about="matrix times vector",
        group="products",
        operator="@",
        facts="""
            nonnegative(A), nonnegative(x)    |- nonnegative(this)
            positive(A), positive(x)          |- positive(this) where nonempty(x)
            row_stochastic(A), at_least(x, a) |- at_least(this, a)
            row_stochastic(A), at_most(x, a)  |- at_most(this, a)
        """,
    ),
    Op(
        name="vecmat",
        line="vecmat(x[k], A[..., k, j])[..., j] = sum[k](x[k] * A[..., k, j])",
        about="vector times matrix",
        group="products",
        operator="@",
        facts="""
            nonnegative(x), nonnegative(A) |- nonnegative(this)
            positive(x), positive(A)       |- positive(this) where nonempty(x)
        """,
    ),
    Op(
        name="dot",
        line="dot(x[i], y[i])[] = sum[i](x[i] * y[i])",
        about="sum of products, without conjugation",
        group="products",
        operator="@",
        facts=INNER,
    ),
    Op(
        name="vdot",
        line="vdot(x[i], y[i])[] = sum[i](conj(x[i]) * y[i])",
        about="inner product: the first vector is conjugated",
        group="products",
        facts=INNER,
    ),
    Op(
        name="outer",
        line="outer(x[i], y[j])[i, j] = x[i] * y[j]",
        about="every product of an entry of x and one of y",
        group="products",
        facts="""
            |- low_rank(this, 1)
            nonnegative(x), nonnegative(y) |- nonnegative(this)
            nonzero(x), nonzero(y)         |- nonzero(this)
            |- psd(this) where same(x, y)
        """,
    ),
    Op(
        name="kron",
        line=KRON_LINE,
        line_by=_kron_line,
        about="a scaled copy of B for every entry of A",
        group="products",
        facts="""
            lower(A), lower(B)               |- lower(this)         where square(B)
            upper(A), upper(B)               |- upper(this)         where square(B)
            unit_diagonal(A), unit_diagonal(B) |- unit_diagonal(this) where square(B)
            symmetric(A), symmetric(B)       |- symmetric(this)
            psd(A), psd(B)                   |- psd(this)
            spd(A), spd(B)                   |- spd(this)
            orthogonal(A), orthogonal(B)     |- orthogonal(this)
            orthonormal(A), orthonormal(B)   |- orthonormal(this)
            permutation(A), permutation(B)   |- permutation(this)
            nonsingular(A), nonsingular(B)   |- nonsingular(this)
            row_stochastic(A), row_stochastic(B) |- row_stochastic(this)
            full_rank(A), full_rank(B)       |- full_rank(this)     where rows(A) >= cols(A), rows(B) >= cols(B)
            full_rank(A), full_rank(B)       |- full_rank(this)     where rows(A) <= cols(A), rows(B) <= cols(B)
            low_rank(A, r), low_rank(B, s)   |- low_rank(this, r * s)
            low_rank(A, r)                   |- low_rank(this, r * min(rows(B), cols(B))) where matrix(B)
            low_rank(B, r)                   |- low_rank(this, r * min(rows(A), cols(A))) where matrix(A)
            nonnegative(A), nonnegative(B)   |- nonnegative(this)
            nonzero(A), nonzero(B)           |- nonzero(this)
            skew(A), symmetric(B)            |- skew(this)
            symmetric(A), skew(B)            |- skew(this)
            projection(A, r), projection(B, s) |- projection(this, r * s)
            |- low_rank(this, min(rows(A), cols(A)) * min(rows(B), cols(B))) where matrix(A), matrix(B)
            nonsingular(this)                |- nonsingular(A) where rows(B) >= 1
            nonsingular(this)                |- nonsingular(B) where rows(A) >= 1
            banded(A, a, b), banded(B, c, d) |- banded(this, a * rows(B) + c, b * rows(B) + d) where square(B)
            sparse(A, d), sparse(B, e)       |- sparse(this, d * e)
        """,
    ),
    Op(
        name="khatri_rao",
        line="khatri_rao(A[i, k], B[j, k])[(i j), k] = A[i, k] * B[j, k]",
        about="Kronecker products of the columns of A with those of B",
        group="products",
        facts="nonnegative(A), nonnegative(B) |- nonnegative(this)\n nonzero(A), nonzero(B) |- nonzero(this)",
    ),
    Op(
        name="transpose",
        line="transpose(A[..., i, j])[..., j, i] = A[..., i, j]",
        about="the last two axes exchanged",
        group="products",
        operator="'",
        facts=TRANSPOSED,
    ),
    Op(
        name="adjoint",
        line="adjoint(A[..., i, j])[..., j, i] = conj(A[..., i, j])",
        about="conjugate transpose",
        group="products",
        facts=TRANSPOSED,
    ),
    Op(
        name="permute",
        line="permute(x[...])[...]",
        about="the axes in another order: axis n of the result is axis axes[n] of x",
        group="products",
        options={"axes": None},
        formula_by=_permute,
        typing=typed_by(_permute),
        facts=entries_of("x"),
    ),
    Op(
        name="trace",
        line="trace(A[..., i, i])[...] = sum[i](A[..., i, i])",
        about="sum of the diagonal",
        group="products",
        facts="""
            psd(A)         |- nonnegative(this)
            spd(A)         |- positive(this)    where rows(A) >= 1
            nonnegative(A) |- nonnegative(this)
            positive(A)    |- positive(this)    where rows(A) >= 1
            negative(A)    |- negative(this)    where rows(A) >= 1
            skew(A)        |- at_least(this, 0)
            skew(A)        |- at_most(this, 0)
        """,
    ),
    Op(
        name="diag",
        line="diag(x[...])[...]",
        about="the matrix with diagonal x for a vector; the diagonal of the last two axes for more",
        group="products",
        formula_by=_diag,
        typing=typed_by(_diag),
        facts="""
            |- diagonal(this)    where vector(x)
            nonnegative(x)       |- psd(this)         where vector(x)
            positive(x)          |- spd(this)         where vector(x)
            nonzero(x)           |- nonsingular(this) where vector(x)
            nonsingular(this)    |- nonzero(x)        where vector(x)
            nonnegative(x)       |- nonnegative(this)
            at_least(x, a)       |- at_least(this, a) where matrix(x)
            at_most(x, a)        |- at_most(this, a)  where matrix(x)
            nonzero(x)           |- nonzero(this)     where matrix(x)
            psd(x)               |- nonnegative(this)
            spd(x)               |- positive(this)
            unit_diagonal(x)     |- at_least(this, 1)
            unit_diagonal(x)     |- at_most(this, 1)
            skew(x)              |- at_least(this, 0)
            skew(x)              |- at_most(this, 0)
        """,
    ),
    _triangle("tril", "<="),
    _triangle("triu", ">="),
    Op(
        name="vec",
        line="vec(X[..., i, j])[..., (i j)] = X[..., i, j]",
        about="the rows one after the other",
        group="products",
        facts=entries_of("X"),
    ),
    Op(
        name="unvec",
        line="unvec(x[..., (i j)], i, j)[..., i, j] = x[..., (i j)]",
        about="the i by j matrix of which x is the vec",
        group="products",
        facts=entries_of("x"),
    ),
    CROSS,
]
