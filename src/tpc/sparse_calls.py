"""Calls with a sparse matrix that are one product: they go straight to the kernel, with one look at each argument."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tpc.backends.llvm.engine import thread_setting
from tpc.backends.llvm.entry import call_at_once
from tpc.backends.llvm.sparse.entries import TURNED, Kernel
from tpc.backends.llvm.sparse.kernels import COLUMNS, INNER, ROWS, STORED
from tpc.backends.llvm.sparse.whole import whole
from tpc.ir.dims import Dim, DimLike, named, names_of, product, substitute
from tpc.native import as_before, guards
from tpc.threads import ThreadLimit

if TYPE_CHECKING:
    from tpc.compiled import Compiled
    from tpc.ir.types import TensorType
    from tpc.specialised import Specialised

RIGHTS = {"vector": ((INNER,),), "matrix": ((INNER, COLUMNS),), "sampled": ((ROWS, INNER), (COLUMNS, INNER))}


def go_at_once(compiled: Compiled, special: Specialised, helper: str, kernel: Kernel) -> None:
    """Let calls of a function go to the kernel that its one helper uses, where that is all of it; else do nothing.

    It takes calls that the same plan is for: of the same sizes, about, and no denser. All others go the way that they
    went before.
    """
    found, inputs = whole(special.run), special.program.inputs  # type: ignore[arg-type]
    is_alone = len(special.program.output_names) == len(special.code.seconds) == 1 and not special.code.emitted.sizes
    if found is None or found[0] != helper or not is_alone or kernel.format not in TURNED:
        return
    first, *others = found[1]
    numbers = [first.parameter, *(other.parameter for other in others)]
    if first.is_turned and kernel.right != "sampled":
        kernel = kernel._replace(format=TURNED[kernel.format], is_turned=True)
    elif first.is_turned or kernel.right == "sampled" and kernel.format != "csr":
        return
    are_stored = [o.is_stored for o in found[1]] == [True, *[False] * len(others)]
    are_turned = [o.is_turned for o in others] == [False, True][: len(others)]  # the second is taken by its columns
    if not (are_stored and are_turned and set(numbers) == {*range(len(inputs))}):
        return
    dims = [kernel.stored.dims, *RIGHTS[kernel.right]]
    needed = _guards(special, compiled._settings.dims, dims, [inputs[k].tensor for k in numbers])
    if needed is not None:
        sources = [*[numbers[0]] * len(kernel.stored.arrays), *numbers[1:]]
        parameters = [node["name"] for node in inputs]
        entered: Any = kernel.entry(as_before(compiled), parameters, sources, [*needed, *kernel.narrow], True)
        threads = compiled._settings.threads
        if threads is not None:  # a kernel needs no other library
            entered = staticmethod(ThreadLimit(threads, [thread_setting()]).on(entered))
        call_at_once(compiled, entered)


def _guards(
    special: Specialised,
    fixed: Mapping[str, int],
    dims: list[tuple[DimLike, ...]],
    inputs: list[TensorType],
) -> list[DimLike] | None:
    """What must not be negative for a plan to be that of a call, in sizes of the kernel; None where none can say."""
    sizes: dict[str, DimLike] = {}
    equal: list[tuple[DimLike, DimLike]] = []
    for of_kernel, tensor in zip(dims, inputs, strict=True):
        for own, size in zip(of_kernel, tensor.dims, strict=True):
            if isinstance(size, Dim) and size != named(str(size)):
                return None
            equal.append((own, size if isinstance(size, int) else sizes.setdefault(str(size), own)))
    equal += [(sizes[name], size) for name, size in fixed.items() if name in sizes]
    conditions = guards(special.program, fixed)
    known = {name for name, _ in special.sparse.sizes}.union(*map(names_of, conditions or ()))
    if conditions is None or not known <= sizes.keys():
        return None
    found = [substitute(over, sizes) for over in conditions]
    for name, about in special.sparse.sizes:
        size = sizes[name]
        found += [about - size, 2 * size - about - 1 if about > 1 else size - about]
    for _, density in special.sparse.densities:
        share, whole = density.as_integer_ratio()
        found.append(share * product(dims[0]) - whole * STORED)
    found += [difference for one, other in equal if one != other for difference in (one - other, other - one)]
    return found if all(isinstance(n, Dim) or n >= 0 for n in found) else None
