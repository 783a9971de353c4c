"""Index notation as array code: what each form becomes, and table entries against formulas."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.ir.op_cases import CASES

from tpc.backends import backend, emit, guard
from tpc.backends.numpy import DIALECT as NUMPY
from tpc.backends.torch import DIALECT as TORCH
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import check
from tpc.ir.node import Program
from tpc.ir.ops import OPS
from tpc.ir.types import BOOL, C128, F64, I64, TensorType

from .contract import BACKENDS, assert_close, compare, given, op_program, plain, run

DIALECTS = {"numpy": NUMPY, "torch": TORCH}
KINDS = {"f": F64, "c": C128, "i": I64, "b": BOOL}


def by_formula(name: str, program: Program, arrays: list[Any]) -> Any:
    """The result with the tables of ops empty, so that every op is expanded."""
    chosen = backend(name)
    emitted = emit.emit(program, replace(DIALECTS[name], ops={}))
    guard.check(emitted.source)
    values = [given(name, a, i.tensor.dtype) for a, i in zip(arrays, program.inputs, strict=True)]
    return plain(chosen.load(emitted)(*values))


def has_formula(case: tuple[Any, ...]) -> bool:
    """Whether index notation says what a call means."""
    op = OPS[case[0]]
    types = [TensorType(KINDS[np.asarray(o).dtype.kind], np.shape(o)) for o in case[1]]
    return op.name != "cast" and op.formula(types, {**op.options, **case[2]}) is not None


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize(
    "case", list(filter(has_formula, CASES)), ids=lambda c: f"{c[0]} {[np.shape(o) for o in c[1]]} {c[2]}"
)
def test_entry_is_formula(case: tuple[Any, ...], name: str) -> None:
    """Where an op has both, its entry in the table and its formula are one."""
    op, operands, attributes, _ = case
    arrays = [np.asarray(o) for o in operands]
    types = [TensorType(KINDS[a.dtype.kind], a.shape) for a in arrays]
    program = op_program(op, types, attributes)
    value = by_formula(name, program, arrays)
    expected = backend(name).load(backend(name).emit(program))(
        *[given(name, a, t.dtype) for a, t in zip(arrays, types, strict=True)]
    )
    assert_close(value, plain(expected), 1e-12)


FORMS = {
    "y[i, j] = A[i, j] * x[j]": ("A * x", "A * x"),
    "y[i, j] = A[i, j] * z[i]": ("A * z[:, None]", "A * z[:, None]"),
    "y[j, i] = A[i, j]": ("A.T", "A.T"),
    "y[i] = sum[j](A[i, j] * x[j])": ("A @ x", "A @ x"),
    "y[j] = sum[i](A[i, j] * z[i])": ("A.T @ z", "A.T @ z"),
    "y[i, j] = sum[k](A[i, k] * A[j, k])": ("A @ A.T", "A @ A.T"),
    "y[j, i] = sum[k](A[i, k] * B[k, j])": ("B.T @ A.T", "B.T @ A.T"),
    "y[i] = sum[j, k](A[i, j] * B[j, k] * C[i, k])": (
        'np.einsum("ab,bc,ac->a", A, B, C, optimize=True)',
        'torch.einsum("ab,bc,ac->a", A, B, C)',
    ),
    "y[i] = S[i, i]": ("np.diagonal(S, axis1=-2, axis2=-1)", "torch.diagonal(S, dim1=-2, dim2=-1)"),
    "y = sum[i](S[i, i])": (
        "np.sum(np.diagonal(S, axis1=-2, axis2=-1))",
        "torch.sum(torch.diagonal(S, dim1=-2, dim2=-1))",
    ),
    "y[i in n - 1] = z[i + 1] - z[i]": ("z[1:] - z[:n - 1]", "z[1:] - z[:n - 1]"),
    "y[i in n] = z[n - 1 - i]": ("np.flip(z, 0)", "torch.flip(z, (0,))"),
    "y[i] = max[j](A[i, j])": ("np.max(A, axis=1)", "torch.amax(A, dim=1)"),
    "y[i, j] = exp(A[i, j]) + 1": ("np.exp(A) + 1", "torch.exp(A) + 1"),
    "y[i, j] = S[at[i], j]": ("S[", "S["),
}
HEAD = "def f(A: f64[n, m], B: f64[m, p], C: f64[n, p], S: f64[n, n], x: f64[m], z: f64[n], at: i64[n]):\n    "


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("form", FORMS)
def test_forms(form: str, name: str) -> None:
    """A form of index notation becomes the code that a person would write, and means what the reference says."""
    checked = check(Source(f"{HEAD}{form}\n    return y\n", "forms.tp"))
    assert not checked.diagnostics.errors
    program = checked.programs["f"]
    source = backend(name).emit(program, checked.module.notes.names).source
    assert FORMS[form][list(DIALECTS).index(name)] in source, source
    for n, m, p in ((3, 4, 2), (1, 1, 1), (2, 0, 3)):
        if form.startswith("y[i] = max") and m == 0:
            continue
        rng = np.random.default_rng(2)
        shapes = [(n, m), (m, p), (n, p), (n, n), (m,), (n,)]
        arrays = [rng.standard_normal(s) for s in shapes] + [rng.integers(0, n, n)]
        compare(name, program, arrays)


HARD = [
    "y[i] = sum[k where k <= i](z[i - k] * z[k])",
    "y[i in n] = max[k where k <= i](z[k])",
    "y[i in n] = mean[k where k <= i](z[k])",
    "y[i in n] = prod[k where k != i](z[k])",
    "y[i in n] = logsumexp[k where k >= i](z[k])",
    "y[i in n] = min[k where k >= i](z[k] * k)",
    "y[i] = argmax[k](S[k, i])",
    "y[i in n] = sum[k](z[i + k - 1, pad=0] * S[k, 0])",
    "y[i in n, j in n] = S[i + j - 1, j, pad=2.5]",
    "y[i, j] = i * 10 + j + 0 * S[i, j]",
    "y[i, j in n] = select(i == j, z[i], 0)",
    "y[i, j] = S[at[i], at[j]]",
    "y[i] = S[i, at[i]]",
    "y[i] = S[at[i], i] * S[at[at[i]], i]",
    "y[i, j] = select(any[k](S[i, k] > 1), 1, 0) + S[i, j]",
    "y[i] = sum[k](sum[l](S[k, l] * z[l]) * S[i, k])",
    "y[i in n] = sum[k in m](2)",
    "y[i in n, j in m] = 1",
    "y[i] = mean[k](S[i, k] * (S[i, k] - mean[l](S[i, l])))",
    "y = sum[i, j](S[i, j] * S[j, i])",
    "y[i] = sum[j](S[i, j] * 2 * z[j] * z[i])",
    "y[i in n] = z[mod(i + 1, n)]",
    "y[i, j in 2] = z[i] ^ j",
    "y[i in div(n, 2)] = z[2 * i + 1] - z[2 * i]",
    "y[i in div(n, 2)] = z[n - 1 - 2 * i]",
    "y[i, a, b] = z[i] * S[a, b]",
    "y[b, a] = sum[i](S[i, a] * S[i, b] * z[i])",
]


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("form", HARD)
def test_hard_forms(form: str, name: str) -> None:
    """Guards, pads, gathers, strides, letters as numbers: against the reference at small sizes."""
    checked = check(Source(f"{HEAD}{form}\n    return y\n", "forms.tp"))
    assert not checked.diagnostics.errors, [d.title for d in checked.diagnostics.errors]
    program = checked.programs["f"]
    for n, m, p in ((3, 4, 2), (4, 2, 3), (1, 1, 1), (0, 2, 3)):
        if n == 0 and re.search("argmax|mean|max|min|S.k, 0|S.i, at", form):
            continue
        rng = np.random.default_rng(2)
        shapes = [(n, m), (m, p), (n, p), (n, n), (m,), (n,)]
        arrays = [np.abs(rng.standard_normal(s)) + 0.1 for s in shapes] + [rng.integers(0, max(n, 1), n)]
        compare(name, program, arrays)


@pytest.mark.parametrize("name", BACKENDS)
def test_guarded_positions(name: str) -> None:
    """A position that a guard leaves out may lie anywhere; one that counts may not."""
    text = (
        "def f(z: f64[n], at: i64[n, m]) -> f64[n]:\n    y[i] = sum[k where at[i, k] >= 0](z[at[i, k]])\n    return y\n"
    )
    program = check(Source(text, "guard.tp")).programs["f"]
    z = np.array([1.0, 2.0])
    compare(name, program, [z, np.array([[0, -1, 1], [-5, -1, 1]])])
    with pytest.raises(IndexError):
        compare(name, program, [z, np.array([[0, -1, 2], [-5, -1, 1]])])
    with pytest.raises(IndexError):
        run(name, program, [z, np.array([[0, -1, 2], [-5, -1, 1]])])
