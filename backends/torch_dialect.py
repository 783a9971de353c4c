"""How torch spells arrays: dims for axes, explicit formats, and the device of the first argument."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tpc.backends.code import Value, fill
from tpc.backends.dialect import Dialect, Scribe, import_lines, literal_list
from tpc.backends.torch_functions import SINGLE, TENSORS
from tpc.ir.types import BF16, BOOL, COMPLEX, F16, F32, INT, REAL, STRONG, DType

_PYTHON = {INT: "int", REAL: "float", COMPLEX: "complex", BOOL: "bool"}


class TorchDialect(Dialect):
    """Every operand is brought to the common format by hand: torch has promotion rules of its own."""

    def dtype(self, dtype: DType) -> str:
        return "torch.bfloat16" if dtype is BF16 else f"torch.{STRONG.get(dtype, dtype).numpy}"

    def _held(self, dtype: DType) -> str:
        return self.dtype(dtype)

    def _cast(self, scribe: Scribe, value: Value, dtype: DType) -> str:
        return fill("{0}.to({dtype})", value.text, dtype=self.dtype(dtype))

    def cast(self, scribe: Scribe, value: Value, dtype: DType) -> Value:
        if value.dtype is not dtype and not value.python and dtype.is_weak and not value.rank:
            return Value(f"{_PYTHON[dtype]}({value.text})", dtype, python=True, depth=value.depth + 1)
        return super().cast(scribe, value, dtype)

    def as_array(self, scribe: Scribe, value: Value) -> str:
        return self.tensor(scribe, value.text, value.dtype)

    def tensor(self, scribe: Scribe, text: str, dtype: DType) -> str:
        """A number as a tensor of no axes."""
        return f"torch.as_tensor({text}, dtype={self.dtype(dtype)}, device={scribe.device})"

    def scalar_input(self, scribe: Scribe, name: str, dtype: DType, placed: bool = True) -> str:
        return self.tensor(scribe, name, dtype) if placed else f"torch.as_tensor({name}, dtype={self.dtype(dtype)})"

    def array_input(self, name: str, dtype: DType) -> str | None:
        return None  # a tensor has its format, its device and its gradient

    # ---- arrays

    def arange(self, scribe: Scribe, size: str) -> str:
        return f"torch.arange({size}, device={scribe.device})"

    def full(self, scribe: Scribe, shape: str, value: str, dtype: DType) -> str:
        return f"torch.full({shape}, {value}, dtype={self.dtype(dtype)}, device={scribe.device})"

    def broadcast(self, value: str, shape: str) -> str:
        return f"torch.broadcast_to({value}, {shape})"

    def reshape(self, value: str, shape: str) -> str:
        return fill("{0}.reshape({shape})", value, shape=shape)

    def permute(self, value: str, order: Sequence[int]) -> str:
        if list(order) == [1, 0]:
            return fill("{0}.T", value)
        return fill("{0}.permute({order})", value, order=tuple(order) if len(order) != 1 else f"({order[0]},)")  # type: ignore[arg-type]

    def swap(self, value: str) -> str:
        return fill("{0}.mT", value)

    def diagonal(self, value: str, first: int, second: int) -> str:
        return f"torch.diagonal({value}, dim1={first}, dim2={second})"

    def flip(self, value: str, axis: int) -> str:
        return f"torch.flip({value}, ({axis},))"

    def einsum(self, subscripts: str, operands: Sequence[str]) -> str:
        return f"torch.einsum({subscripts!r}, {', '.join(operands)})"

    def copy(self, value: str) -> str:
        return fill("{0}.clone()", value)

    # ---- loops and constants

    def collector(self, scribe: Scribe, shape: str, dtype: DType) -> str:
        return "[]"

    def collect(self, scribe: Scribe, name: str, position: str, value: Value, dtype: DType) -> str:
        text = self.tensor(scribe, value.text, value.dtype) if value.python else value.text
        return f"{name}.append({text})"

    def collected(self, scribe: Scribe, name: str, shape: str, dtype: DType) -> str:
        empty = f"torch.zeros({shape}, dtype={self.dtype(dtype)}, device={scribe.device})"
        return f"torch.stack({name}) if {name} else {empty}"

    def array_literal(self, scribe: Scribe, values: list[Any], dtype: DType) -> str:
        return self.tensor(scribe, literal_list(values), dtype)

    def constant_line(self, name: str, load: str, dtype: DType) -> str:
        more = ".to(torch.bfloat16)" if dtype is BF16 else ""
        return f"{name} = torch.from_numpy({load}){more}"

    def constant_value(self, array: Any, dtype: DType) -> Any:
        import torch

        tensor = torch.from_numpy(array.copy())
        return tensor.to(torch.bfloat16) if dtype is BF16 else tensor

    def constant_use(self, scribe: Scribe, name: str) -> str:
        return f"{name}.to({scribe.device})"

    def must_meet(self, dtype: DType, common: DType, group: str) -> bool:
        return True

    # ---- scalar functions

    def meet(self, scribe: Scribe, value: Value, common: DType, function: str) -> Value:
        if function in SINGLE and common in (F16, BF16):
            common = F32
        if value.python:
            if function in TENSORS:
                return Value(self.tensor(scribe, value.text, common), common, depth=value.depth)
            return value
        if function in ("logical_and", "logical_or", "logical_not"):
            return self.cast(scribe, value, BOOL)
        return self.cast(scribe, value, common)

    def special_case(
        self, scribe: Scribe, function: str, args: list[Value], common: DType, result: DType
    ) -> str | None:
        if function == "im" and common.kind != "c":
            return f"torch.zeros_like({args[0].text})"
        if (
            function in ("floor", "ceil", "round", "trunc", "conj", "re")
            and common.kind != "c"
            and (common.kind in "bi" or function in ("conj", "re"))
        ):
            return args[0].text
        if function in ("relu", "abs") and common is BOOL:
            return args[0].text
        if function == "select":
            return self._select(scribe, args, common)
        if common is BOOL and function in ("add", "mul"):
            return fill(
                "torch.logical_or({0}, {1})" if function == "add" else "torch.logical_and({0}, {1})",
                *(a.text for a in args),
            )
        if common is BOOL and function in ("pow", "mod", "floor_div", "square"):
            return fill(self.functions[function], *(fill("{0}.to(torch.int8)", a.text) for a in args))
        if function == "pow" and args[0].python:
            return fill("{0} ** {1}", self.tensor(scribe, args[0].text, common), args[1].text)
        if function == "sign" and common.kind == "f":  # torch gives NaN the sign 0
            x = scribe.named(args[0]).text
            return f"torch.where(torch.isnan({x}), {x}, torch.sgn({x}))"
        if function in ("mod", "floor_div") and common.kind == "i":  # torch refuses to divide by zero
            y = scribe.named(args[1]).text
            safe = fill(self.functions[function], args[0].text, f"torch.where({y} == 0, 1, {y})")
            return f"torch.where({y} == 0, 0, {safe})"
        return None

    def _select(self, scribe: Scribe, args: list[Value], common: DType) -> str:
        condition, first, second = args
        if condition.python:
            condition = Value(self.tensor(scribe, condition.text, BOOL), BOOL)
        if first.python and (second.python or first.dtype is not common):
            first = Value(self.tensor(scribe, first.text, common), common)
        if second.python and second.dtype is not common and not first.python:
            second = Value(self.tensor(scribe, second.text, common), common)
        if first.python and common.kind == "b":
            first = Value(self.tensor(scribe, first.text, common), common)
        return fill("torch.where({0}, {1}, {2})", condition.text, first.text, second.text)

    def settle(self, scribe: Scribe, function: str, value: Value, common: DType) -> Value:
        if self.functions[function].startswith("_"):
            scribe.helper(self.functions[function].partition("(")[0])
        if function in SINGLE and common in (F16, BF16):
            return self.cast(scribe, Value(value.text, F32, value.rank, depth=value.depth), value.dtype)
        if value.dtype is BOOL and function in ("pow", "mod", "floor_div", "square"):
            return Value(fill("{0}.to(torch.bool)", value.text), BOOL, value.rank, depth=value.depth)
        return value

    def imports(self, text: str) -> list[str]:
        modules = ["import torch"] + (["import torch.nn.functional"] if "torch.nn.functional" in text else [])
        return import_lines(text, modules)
