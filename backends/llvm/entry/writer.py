"""An entry while it is written: what its parts share."""

from __future__ import annotations

from typing import Any

from tpc.backends.llvm import sizes
from tpc.backends.llvm.entry.layout import FUNCTIONS
from tpc.backends.llvm.signature import Array, Signature
from tpc.ir.dims import DimLike, product


class Writer:
    """The function, its blocks, and its slots.

    `given` has a slot for each parameter, `copies` those for copies of operands, `passing` all of what goes when the
    call is over, and `made` those for new results. Block `slow` lets go of these and calls the slow function; `failed`
    lets go of them too, and returns with the error that is set.
    """

    def __init__(self, name: str, signature: Signature, parameters: int) -> None:
        from llvmlite import ir

        self.ir, self.signature = ir, signature
        self.i8, self.i32, self.i64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
        self.ptr, self.double = ir.PointerType(), ir.DoubleType()
        self.null = self.ptr(None)
        self.module = ir.Module(name=name)
        self.globals: dict[str, Any] = {}
        type = ir.FunctionType(self.ptr, [self.ptr, self.ptr, self.i64, self.ptr])
        self.entry = ir.Function(self.module, type, name)
        self.self, self.arguments, self.count, self.keywords = self.entry.args
        self.start, self.slow, self.failed = map(self.block, ("start", "slow", "failed"))
        self.b = ir.IRBuilder(self.start)
        self.given = [self.slot(self.ptr) for _ in range(parameters)]
        self.copies = [self.slot(self.ptr) if array.dims else None for array in signature.operands]
        self.made = [self.slot(self.ptr) for _ in signature.results]
        self.passing = [copy for copy in self.copies if copy is not None]  # what goes when the call is over
        for slot in (*self.given, *self.passing, *self.made):
            self.b.store(self.null, slot)
        self.axes: list[Any] = []  # of all operands
        self.sizes: dict[str, Any] = {}

    def block(self, name: str = "") -> Any:
        return self.entry.append_basic_block(name)

    def slot(self, type: Any, count: int = 1) -> Any:
        with self.b.goto_entry_block():
            return self.b.alloca(type, count)

    def own(self) -> Any:
        """A slot for what is held until the call is over."""
        slot = self.slot(self.ptr)
        with self.b.goto_block(self.start):
            self.b.store(self.null, slot)
        self.passing.append(slot)
        return slot

    def function(self, name: str) -> Any:
        if name not in self.globals:
            types = {"p": self.ptr, "l": self.i64, "i": self.i32, "v": self.ir.VoidType()}
            result, *parameters = (types[letter] for letter in FUNCTIONS[name])
            self.globals[name] = self.ir.Function(self.module, self.ir.FunctionType(result, parameters), name)
        return self.globals[name]

    def call(self, name: str, *arguments: Any) -> Any:
        return self.b.call(self.function(name), arguments)

    def object(self, name: str) -> Any:
        """An object of Python, by its symbol."""
        if name not in self.globals:
            self.globals[name] = self.ir.GlobalVariable(self.module, self.i8, name)
            self.globals[name].linkage = "external"
        return self.globals[name]

    def number(self, name: str) -> Any:
        """The number that is in the place of an address."""
        return self.b.ptrtoint(self.object(name), self.i64)

    def at(self, base: Any, offset: Any) -> Any:
        return self.b.gep(base, [self.i64(offset) if isinstance(offset, int) else offset], source_etype=self.i8)

    def load(self, base: Any, offset: Any, type: Any) -> Any:
        return self.b.load(self.at(base, offset), typ=type)

    def held(self, slot: Any) -> Any:
        """The pointer in a slot."""
        return self.b.load(slot, typ=self.ptr)

    def size(self, dim: DimLike) -> Any:
        return sizes.value(self.b, dim, self.sizes)

    def bytes(self, array: Array) -> Any:
        return self.size(product([*array.dims, array.dtype.size]))

    # ---- conditions

    def equal(self, a: Any, b: Any) -> Any:
        return self.b.icmp_unsigned("==", a, b)

    def is_null(self, pointer: Any) -> Any:
        return self.equal(pointer, self.null)

    def has_flags(self, array: Any, offset: int, flags: int) -> Any:
        return self.equal(self.b.and_(self.load(array, offset, self.i32), self.i32(flags)), self.i32(flags))

    def need(self, condition: Any, otherwise: Any) -> None:
        """Go on where a condition holds, and else elsewhere."""
        go_on = self.block()
        self.b.cbranch(condition, go_on, otherwise)
        self.b.position_at_end(go_on)

    def need_not(self, condition: Any, otherwise: Any) -> None:
        """Go on where a condition does not hold, and else elsewhere."""
        go_on = self.block()
        self.b.cbranch(condition, otherwise, go_on)
        self.b.position_at_end(go_on)
