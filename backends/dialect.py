"""How a backend spells things: the base of all dialects, and how scalar functions are applied in one.

A value of rank 1 and more, and a scalar of a strong dtype, is held as an array (or NumPy scalar) of exactly its
dtype. A scalar of a weak dtype is a number of Python, so that it gives way to arrays here as it does in the language.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tpc.backends.code import Value, fill, number, repeats, shape_source
from tpc.backends.numpy_functions import FUNCTIONS
from tpc.ir.formula import Literal
from tpc.ir.node import Node
from tpc.ir.scalar import SCALARS
from tpc.ir.types import BF16, BOOL, COMPLEX, F16, F32, INT, REAL, STRONG, DType, as_float, promote_all


@dataclass(frozen=True)
class Helper:
    """A function that generated code may carry with it, and the helpers that it calls."""

    source: str
    needs: tuple[str, ...] = ()


class Scribe(Protocol):
    """The function that is being written, as tables see it."""

    def named(self, value: Value, wanted: str = "") -> Value:
        """The value under a name, so that it may be used more than once."""
        ...

    def helper(self, name: str) -> str:
        """The name of a helper, which the module will hold."""
        ...

    def size(self, dim: Any) -> str:
        """A size as source."""
        ...

    @property
    def device(self) -> str:
        """The argument that puts a fresh array beside the inputs, with its comma; or nothing."""
        ...


@dataclass
class Site:
    """An op where it is applied, as an entry of a table sees it."""

    scribe: Scribe
    dialect: Dialect
    node: Node
    args: list[Value]
    labels: list[str]  # what to call the operands in messages

    def __getitem__(self, option: str) -> Any:
        return self.node[option]

    def get(self, option: str, default: Any = None) -> Any:
        return self.node.get(option, default)

    @property
    def texts(self) -> list[str]:
        return [a.text if a.text.isidentifier() else f"({a.text})" for a in self.args]

    def name(self, position: int = 0) -> str:
        """An operand as a name."""
        self.args[position] = self.scribe.named(self.args[position])
        return self.args[position].text

    def array(self, position: int = 0) -> str:
        """An operand as an expression that has the methods of an array."""
        value = self.args[position]
        return self.dialect.as_array(self.scribe, value) if value.python else self.texts[position]

    def size(self, dim: Any) -> str:
        return self.scribe.size(dim)

    def shape(self, dims: Sequence[Any]) -> str:
        return shape_source([self.size(d) for d in dims])

    def help(self, name: str) -> str:
        return self.scribe.helper(name)

    def given(self, wanted: DType) -> DType:
        """The format in which an entry gives a result: linear algebra and transforms know no half precision."""
        half = wanted in (F16, BF16) and self.node.op.group in ("linalg", "fourier", "recurrences")
        return F32 if half and self.node.op.name not in ("fftshift", "ifftshift") else wanted

    @property
    def dims(self) -> tuple[Any, ...]:
        """The dims of the first operand."""
        return self.node.args[0].tensor.dims

    @property
    def rank(self) -> int:
        return len(self.dims)

    @property
    def may_be_empty(self) -> bool:
        """Whether an operand may have no entries."""
        return any(d == 0 or not isinstance(d, int) for a in self.node.args for d in a.tensor.dims)

    @property
    def dtype(self) -> str:
        """The dtype of the (first) result, spelled."""
        first = self.node.type if not isinstance(self.node.type, tuple) else self.node.type[0]
        return self.dialect.dtype(first.dtype)


Entry = str | Callable[[Site], str | None]
"""What an op is in a backend: a template, or a function that gives the text (None: take the formula)."""


@dataclass(frozen=True)
class Dialect:
    """A backend's tables, with NumPy's spelling where the backend does not say otherwise.

    Attributes
    ----------
    functions : mapping
        Scalar functions as templates.
    reducers : mapping
        `(scribe, value, axes or None, keepdims, result dtype) -> text`
    ops : mapping
        Ops by name; what is not here is expanded by its formula.
    helpers : mapping
        The helpers that texts may name.
    """

    name: str
    functions: Mapping[str, str]
    reducers: Mapping[str, Callable[[Scribe, Value, tuple[int, ...] | None, bool, DType], str]]
    ops: Mapping[str, Entry]
    helpers: dict[str, Helper]

    # ---- formats

    def dtype(self, dtype: DType) -> str:
        """The name of the format that holds a dtype."""
        name = STRONG.get(dtype, dtype).numpy
        return "bool" if name == "bool" else f"np.{name}"

    def cast(self, scribe: Scribe, value: Value, dtype: DType) -> Value:
        """The value in another format."""
        if value.python:
            return self.strong(scribe, value, dtype)
        if value.dtype is dtype or (self._held(value.dtype) == self._held(dtype) and dtype is not BF16):
            return Value(value.text, dtype, value.rank, depth=value.depth)
        if dtype.is_weak and not value.rank:
            return Value(f"{_PYTHON[dtype]}({value.text})", dtype, python=True, depth=value.depth + 1)
        return Value(self._cast(scribe, value, dtype), dtype, value.rank, depth=value.depth + 1)

    def _held(self, dtype: DType) -> str:
        return STRONG.get(dtype, dtype).numpy

    def _cast(self, scribe: Scribe, value: Value, dtype: DType) -> str:
        text = value.text if self._held(value.dtype) == "float32" and dtype is BF16 else None
        text = text or fill("{0}.astype({dtype})", value.text, dtype=self.dtype(dtype))
        return f"{scribe.helper('_bf16')}({text})" if dtype is BF16 else text

    def strong(self, scribe: Scribe, value: Value, dtype: DType) -> Value:
        """A number of Python as a scalar of a dtype."""
        if dtype.is_weak:
            kind = _PYTHON[dtype]
            text = value.text if value.dtype is dtype else f"{kind}({value.text})"
            return Value(text, dtype, python=True, depth=value.depth)
        return Value(self.scalar_input(scribe, value.text, dtype), dtype, depth=value.depth)

    def as_array(self, scribe: Scribe, value: Value) -> str:
        """A number of Python as an array of no axes."""
        return f"np.asarray({value.text})"

    # ---- arrays

    def arange(self, scribe: Scribe, size: str) -> str:
        return f"np.arange({size})"

    def full(self, scribe: Scribe, shape: str, value: str, dtype: DType) -> str:
        return f"np.full({shape}, {value}, {self.dtype(dtype)})"

    def broadcast(self, value: str, shape: str) -> str:
        return f"np.broadcast_to({value}, {shape})"

    def reshape(self, value: str, shape: str) -> str:
        return fill("{0}.reshape({shape})", value, shape=shape[1:-1].rstrip(",") if shape != "()" else "()")

    def permute(self, value: str, order: Sequence[int]) -> str:
        if list(order) == [1, 0]:
            return fill("{0}.T", value)
        return fill("{0}.transpose({order})", value, order=", ".join(map(str, order)))

    def swap(self, value: str) -> str:
        """The last two axes exchanged."""
        return fill("{0}.swapaxes(-1, -2)", value)

    def diagonal(self, value: str, first: int, second: int) -> str:
        """The diagonal over two axes, which becomes the last axis."""
        return f"np.diagonal({value}, axis1={first}, axis2={second})"

    def flip(self, value: str, axis: int) -> str:
        return f"np.flip({value}, {axis})"

    def einsum(self, subscripts: str, operands: Sequence[str]) -> str:
        inputs, output = subscripts.split("->")
        common = set.intersection(*(set(letters) for letters in inputs.split(",")))
        # two operands with a letter that both have and the result keeps are no product that BLAS knows
        more = ", optimize=True" if len(operands) > 2 or len(operands) == 2 and not common & set(output) else ""
        return f"np.einsum({subscripts!r}, {', '.join(operands)}{more})"

    def copy(self, value: str) -> str:
        return f"np.array({value})"

    # ---- what functions start with, and loops collect

    def scalar_input(self, scribe: Scribe, name: str, dtype: DType, placed: bool = True) -> str:
        """A number of Python, or a scalar argument, in a strong format; `placed` on the device of the arrays."""
        text = f"{self.dtype(dtype) if dtype is not BOOL else 'np.bool_'}({name})"
        return f"{scribe.helper('_bf16')}({text})" if dtype is BF16 else text

    def array_input(self, name: str, dtype: DType) -> str | None:
        """The line that brings an array argument into its format, if there has to be one."""
        return f"{name} = np.asarray({name}, {self.dtype(dtype)})"

    def collector(self, scribe: Scribe, shape: str, dtype: DType) -> str:
        """What a loop puts its results in."""
        return f"np.empty({shape}, {self.dtype(dtype)})"

    def collect(self, scribe: Scribe, name: str, position: str, value: Value, dtype: DType) -> str:
        return f"{name}[{position}] = {value.text}"

    def collected(self, scribe: Scribe, name: str, shape: str, dtype: DType) -> str:
        """The collected results as one array."""
        return name

    def array_literal(self, scribe: Scribe, values: list[Any], dtype: DType) -> str:
        """A small constant, written out."""
        usual = {"f": "np.float64", "i": "np.int64", "b": "bool", "c": "np.complex128"}[dtype.kind]
        more = f", {self.dtype(dtype)}" if self.dtype(dtype) != usual else ""
        text = f"np.array({literal_list(values)}{more})"
        return f"{scribe.helper('_bf16')}({text})" if dtype is BF16 else text

    def constant_line(self, name: str, load: str, dtype: DType) -> str:
        """The line that reads a constant beside the module."""
        return f"{name} = {load}"

    def constant_value(self, array: Any, dtype: DType) -> Any:
        """A constant as the function finds it in this process."""
        return array

    def constant_use(self, scribe: Scribe, name: str) -> str:
        return name

    def must_meet(self, dtype: DType, common: DType, group: str) -> bool:
        """Whether an operand has to be brought to the common format by hand."""
        if group == "linalg" or dtype is BOOL or dtype.is_weak:
            return True
        return dtype.kind != common.kind and dtype.kind in "bi"

    # ---- scalar functions

    def apply(self, scribe: Scribe, function: str, args: Sequence[Value], rank: int) -> Value:
        """A scalar function of values that broadcast against each other."""
        result = SCALARS[function].dtype([a.dtype for a in args])
        if all(a.python for a in args):
            return self._of_numbers(scribe, function, list(args), result)
        common = self.working(function, args)
        met = [
            a if function == "select" and n == 0 else self.meet(scribe, a, common, function) for n, a in enumerate(args)
        ]
        text = self.special_case(scribe, function, met, common, result)
        if text is None:
            template = self.functions[function]
            for n in repeats(template):
                met[n] = scribe.named(met[n])
            text = fill(template, *(a.text for a in met))
        depth = 1 + max(a.depth for a in met)
        return self.settle(scribe, function, Value(text, result, rank, depth=depth), common)

    def apply_to(self, scribe: Scribe, function: str, args: Sequence[Value], place: int, name: str) -> str | None:
        """A statement that writes a scalar function to one of its operands; `name` is what to call it after that.

        None where the function is more than one call.
        """
        common = self.working(function, args)
        met = [self.meet(scribe, a, common, function) for a in args]
        target, texts = args[place].text, [a.text for a in met]
        if met[place] is not args[place] or self.special_case(scribe, function, met, common, common) is not None:
            return None
        sign, call = _WRITING.get(function, ("", self.functions[function]))
        if sign and name == target and (place == 0 or function in ("add", "mul")):
            return f"{target} {sign}= {texts[1 - place]}"
        if not call.endswith(")") or call.count("(") != 1:
            return None
        text = fill(call[:-1], *texts) + f", out={target})"
        return text if name == target else f"{name} = {text}"

    def working(self, function: str, args: Sequence[Value]) -> DType:
        """The dtype in which a function works: where its operands meet."""
        rule = SCALARS[function].result
        common = promote_all(a.dtype for a in (args[1:] if rule == "first" else args))
        return as_float(common) if rule in ("float", "real") else common

    def meet(self, scribe: Scribe, value: Value, common: DType, function: str) -> Value:
        """An operand in the common dtype, where the library would not bring it there by itself."""
        if value.python:
            return value
        weak = value.dtype.is_weak and not common.is_weak
        narrow = common.kind in "fc" and value.dtype.kind in "bi"
        strict = "scipy" in self.functions[function] and self._held(value.dtype) != self._held(common)
        return self.cast(scribe, value, common) if weak or narrow or strict else value

    def special_case(
        self, scribe: Scribe, function: str, args: list[Value], common: DType, result: DType
    ) -> str | None:
        """The text where the table does not hold."""
        if function in _IDENTITIES and common.kind in "bi" or function == "relu" and common is BOOL:
            return args[0].text
        return None

    def settle(self, scribe: Scribe, function: str, value: Value, common: DType) -> Value:
        """The result in exactly its dtype."""
        if value.dtype is BOOL and function in ("pow", "mod", "floor_div", "square"):
            return Value(fill("{0}.astype(bool)", value.text), BOOL, value.rank, depth=value.depth)
        if value.dtype is BF16:
            return Value(f"{scribe.helper('_bf16')}({value.text})", BF16, value.rank, depth=value.depth)
        if value.dtype is F16 and "scipy" in self.functions[function]:
            return self.cast(scribe, Value(value.text, F32, value.rank, depth=value.depth), F16)
        return value

    def _of_numbers(self, scribe: Scribe, function: str, args: list[Value], result: DType) -> Value:
        """A scalar function of Python numbers: infinities and NaN as in IEEE arithmetic, no exceptions."""
        texts = [a.text for a in args]
        depth = 1 + max(a.depth for a in args)
        whole = result is INT
        if function == "div":
            nonzero = texts[1].replace(".", "", 1).isdigit() and float(texts[1]) != 0
            text = fill("{0} / {1}" if nonzero else f"{scribe.helper('_ratio')}({{0}}, {{1}})", *texts)
        elif function == "select":
            if any(a.dtype is not result for a in args[1:]):
                texts[1:] = [f"{_PYTHON[result]}({t})" for t in texts[1:]]
            text = fill("{1} if {0} else {2}", *texts)
        elif whole and function in _IDENTITIES:
            text = texts[0]
        elif function in _OPERATORS and not (result is BOOL and function in ("add", "mul")):
            text = fill(_OPERATORS[function], *texts)
        elif whole and function == "pow" and texts[1].isdigit():
            text = fill("{0} ** {1}", *texts)
        else:
            template = _NUMPY_OF_NUMBERS.get(function) or FUNCTIONS[function]
            for n in repeats(template):
                texts[n] = scribe.named(args[n]).text
            text = f"{_PYTHON[result]}({fill(template, *texts)})"
        return Value(text, result, python=True, depth=depth)

    def literal(self, literal: Literal) -> Value:
        return Value(number(literal.value), literal.dtype, python=True)

    # ---- what a module starts and ends with

    def imports(self, text: str) -> list[str]:
        """The import lines that a text needs."""
        return import_lines(text, [])


def import_lines(text: str, more: list[str]) -> list[str]:
    """Import lines for the modules that a text names, the standard library first."""
    lines = [
        f"import scipy.{m}" for m in ("fft", "linalg", "sparse", "sparse.linalg", "special") if f"scipy.{m}." in text
    ]
    lines += [*more, *(["import numpy as np"] if "np." in text else [])]
    lines.sort()
    return ["import pathlib", "", *lines] if "pathlib." in text else lines


def literal_list(values: list[Any] | bool | int | float | complex) -> str:
    """Nested lists of numbers as source."""
    return f"[{', '.join(map(literal_list, values))}]" if isinstance(values, list) else number(values)


_IDENTITIES = ("floor", "ceil", "round", "trunc", "conj", "re")
_PYTHON = {INT: "int", REAL: "float", COMPLEX: "complex", BOOL: "bool"}
_OPERATORS = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "neg": "-{0}",
    "eq": "{0} == {1}",
    "ne": "{0} != {1}",
    "lt": "{0} < {1}",
    "le": "{0} <= {1}",
    "gt": "{0} > {1}",
    "ge": "{0} >= {1}",
    "logical_and": "{0} and {1}",
    "logical_or": "{0} or {1}",
    "logical_not": "not {0}",
    "abs": "abs({0})",
}
_WRITING = {
    "add": ("+", "np.add({0}, {1})"),
    "sub": ("-", "np.subtract({0}, {1})"),
    "mul": ("*", "np.multiply({0}, {1})"),
    "div": ("/", "np.divide({0}, {1})"),
    "pow": ("**", "np.power({0}, {1})"),
    "neg": ("", "np.negative({0})"),
}
_NUMPY_OF_NUMBERS = {"pow": "np.power({0}, {1})", "square": "{0} * {0}", "relu": "np.maximum({0}, 0)"}
