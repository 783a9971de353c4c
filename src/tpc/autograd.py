"""Programs in PyTorch's derivatives: backward, forward and maps of a call are programs, compiled when asked for.

A backward pass runs the compiled derivative on the arguments of the call and the gradients of its results; nothing else
is kept between the two. It is a call like any other, so that it has derivatives itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from tpc.dsl.diagnostics import TpcError, fail
from tpc.ir.dims import named
from tpc.ir.node import Node, Program

if TYPE_CHECKING:
    from tpc.specialised import Specialised


class Routine:
    """A compiled program with the programs that follow from it.

    Parameters
    ----------
    whole
        Gives the program of a compiled one, with its body.
    compile
        Compiles a program that follows from it.
    """

    def __init__(
        self, special: Specialised, whole: Callable[[Program], Program], compile: Callable[[Program], Specialised]
    ) -> None:
        self.special, self.whole, self.compile = special, whole, compile
        self.sizes = special.code.emitted.sizes
        self._derived: dict[tuple[object, ...], Routine] = {}
        self._plain: Program | None = None
        self._refused: dict[tuple[int, ...], bool] = {}

    def __call__(self, sizes: Mapping[str, int], *arrays: Any) -> tuple[Any, ...]:
        """The results as tensors that know how they came about. Raises TpcError (E0814)."""
        if any(map(_is_batch, arrays)):
            return self._batches(sizes, arrays)
        wanted = tuple(k for k, a in enumerate(arrays) if _is_tensor(a) and a.requires_grad)
        if wanted and self.special.backend == "torch" and not self.has_derivative(wanted):
            return self.run(sizes, arrays)  # as torch itself differentiates it
        found: tuple[Any, ...] = _Call.apply(self, sizes, *arrays)  # type: ignore[no-untyped-call]
        return found

    def _batches(self, sizes: Mapping[str, int], arrays: Sequence[Any]) -> tuple[Any, ...]:
        """The results for batches that `is_grads_batched` and `vectorize` make, whose axis only torch sees."""
        level = torch._C._vmapmode_increment_nesting() - 1
        torch._C._vmapmode_decrement_nesting()
        mapped = tuple(k for k, a in enumerate(arrays) if _is_batch(a))
        whole = [torch._remove_batch_dim(a, level, 1, 0) if k in mapped else a for k, a in enumerate(arrays)]
        if any(map(_is_batch, whole)):
            raise fail(
                "E0814",
                "batches of batches of gradients stop at compiled functions",
                help="take `torch.func.vmap`, `jacrev` or `jacfwd`, which go through them",
            )
        results = self.over(mapped, sizes, whole, whole[mapped[0]].shape[0])
        return tuple(torch._add_batch_dim(r, 0, level) for r in results)

    def over(
        self, mapped: tuple[int, ...], sizes: Mapping[str, int], arrays: Sequence[Any], count: int
    ) -> tuple[Any, ...]:
        """The results for each entry of the first axis of some arguments."""
        size = next(n for n in (f"batch{k}" for k in range(len(sizes) + 1)) if n not in sizes)
        return self.vmap(mapped, size)({**sizes, size: count}, *arrays)

    def run(self, sizes: Mapping[str, int], arrays: Sequence[Any]) -> tuple[Any, ...]:
        """The results as plain tensors."""
        keywords = {keyword: sizes[name] for name, keyword in self.sizes.items()}
        if self.special.backend != "torch":
            device = next(a.device for a in arrays if _is_tensor(a))
            arrays = [as_numpy(a) if _is_tensor(a) else a for a in arrays]
        returned = self.special.run(*arrays, **keywords)
        results = returned if isinstance(returned, tuple) else (returned,)
        return results if self.special.backend == "torch" else tuple(as_tensor(r).to(device) for r in results)

    @property
    def program(self) -> Program:
        """The program without calls and derivatives, but for fixed points, which are differentiated as such."""
        from tpc.passes.differentiate import differentiate
        from tpc.passes.inline import inline

        if self._plain is None:
            self._plain = inline(differentiate(self.whole(self.special.program), keep_fixed_points=True))
        return self._plain

    def has_derivative(self, wanted: tuple[int, ...]) -> bool:
        """Whether tpc can differentiate by these arguments."""
        if wanted not in self._refused:
            try:
                self.backward(wanted)
                self._refused[wanted] = False
            except TpcError as error:
                if any(d.code != "E0608" for d in error.diagnostics):
                    raise
                self._refused[wanted] = True
        return not self._refused[wanted]

    # ---- what follows from it

    def backward(self, wanted: tuple[int, ...]) -> Program:
        from tpc.passes.differentiate.transform import vjp

        return vjp(self.program, self._inputs(wanted))

    def vjp(self, wanted: tuple[int, ...]) -> Routine:
        return self._follow(("vjp", wanted), lambda: self.backward(wanted))

    def jvp(self, moving: tuple[int, ...]) -> Routine:
        from tpc.passes.differentiate.transform import jvp

        return self._follow(("jvp", moving), lambda: jvp(self.program, self._inputs(moving)))

    def vmap(self, mapped: tuple[int, ...], size: str) -> Routine:
        from tpc.passes.differentiate.transform import vmap

        return self._follow(("vmap", mapped), lambda: vmap(self.program, self._inputs(mapped), named(size)))

    def _inputs(self, numbers: Sequence[int]) -> list[Node]:
        return [self.program.inputs[k] for k in numbers]

    def _follow(self, key: tuple[object, ...], make: Callable[[], Program]) -> Routine:
        if key not in self._derived:
            self._derived[key] = Routine(self.compile(make()), lambda program: program, self.compile)
        return self._derived[key]


class _Call(torch.autograd.Function):
    """A call of a routine, for a mapping of sizes and its arguments."""

    @staticmethod
    def forward(routine: Routine, sizes: Mapping[str, int], *arrays: Any) -> tuple[Any, ...]:
        return routine.run(sizes, [a.detach() if _is_tensor(a) else a for a in arrays])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Any, ...]) -> None:
        ctx.routine, ctx.sizes, *arrays = inputs
        ctx.others = {k: a for k, a in enumerate(arrays) if not _is_tensor(a)}
        tensors = [a for a in arrays if _is_tensor(a)]
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)
        ctx.is_float = [_is_float(o) for o in output]
        ctx.mark_non_differentiable(*(o for o in output if not _is_float(o)))

    @staticmethod
    def backward(ctx: Any, *bars: Any) -> tuple[Any, ...]:
        arrays = _arrays(ctx)
        wanted = tuple(k for k, a in enumerate(arrays) if ctx.needs_input_grad[2 + k] and _is_float(a))
        given = [b for b, is_float in zip(bars, ctx.is_float, strict=True) if is_float]
        routine = ctx.routine.vjp(wanted)
        found = dict(zip(wanted, routine(ctx.sizes, *arrays, *given), strict=True))
        return (None, None, *(found.get(k) for k in range(len(arrays))))

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> tuple[Any, ...]:
        arrays = _arrays(ctx)
        moving = tuple(k for k, t in enumerate(tangents[2:]) if t is not None and _is_float(arrays[k]))
        routine = ctx.routine.jvp(moving)
        found: tuple[Any, ...] = routine(ctx.sizes, *arrays, *(tangents[2 + k] for k in moving))
        return tuple(f if is_float else None for f, is_float in zip(found, ctx.is_float, strict=True))

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], routine: Routine, sizes: Mapping[str, int], *arrays: Any
    ) -> tuple[tuple[Any, ...], tuple[int, ...]]:
        where = in_dims[2:]
        mapped = tuple(k for k, axis in enumerate(where) if axis is not None)
        moved = [a if axis is None else a.movedim(axis, 0) for a, axis in zip(arrays, where, strict=True)]
        results = routine.over(mapped, sizes, moved, info.batch_size)
        return results, (0,) * len(results)


def _arrays(ctx: Any) -> list[Any]:
    saved = ctx.saved_tensors  # once: checkpoints make them anew each time
    tensors = iter(saved)
    count = len(ctx.others) + len(saved)
    return [ctx.others[k] if k in ctx.others else next(tensors) for k in range(count)]


def _is_tensor(value: object) -> bool:
    return isinstance(value, torch.Tensor)


def _is_batch(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and torch._C._functorch.is_legacy_batchedtensor(value)


def _is_float(value: Any) -> bool:
    return _is_tensor(value) and (value.is_floating_point() or value.is_complex())


def as_numpy(tensor: Any) -> Any:
    """A plain tensor as a NumPy array, which has no bfloat16."""
    tensor = tensor.float() if tensor.dtype is torch.bfloat16 else tensor
    return tensor.detach().resolve_conj().resolve_neg().cpu().numpy()


def as_tensor(value: Any) -> Any:
    import numpy as np

    return torch.from_numpy(np.ascontiguousarray(value).reshape(np.shape(value)))
