"""One LLVM function while it is written: sizes, loops, and where its values are known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from llvmlite import ir

from tpc.backends.llvm.fusion.terms import Term
from tpc.backends.llvm.nests.types import INTEGER, POINTER, constant, lanes_of, shuffled, suffix, undefined, vector
from tpc.ir.dims import DimLike, Rounded


class Writer:
    """Writes structured code into a function. `known` holds the values of terms, by the scope that made them."""

    def __init__(self, function: ir.Function, sizes: Mapping[str, ir.Value]) -> None:
        self.function, self.module = function, function.module
        self.sizes = sizes
        self.first = ir.IRBuilder(function.append_basic_block("entry"))
        start = function.append_basic_block("start")
        self.first.branch(start)
        self.first.position_before(self.first.block.terminator)
        self.builder = ir.IRBuilder(start)
        self.known: list[dict[Term, ir.Value]] = [{}]
        self._dims: dict[DimLike, ir.Value] = {}

    # ---- sizes, made once at the entry

    def dim(self, dim: DimLike) -> ir.Value:
        """A size as an i64."""
        if isinstance(dim, int):
            return ir.Constant(INTEGER, dim)
        if dim not in self._dims:
            self._dims[dim] = polynomial(self.first, self.sizes, dim)
        return self._dims[dim]

    # ---- structure

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Values made inside are forgotten behind it."""
        self.known.append({})
        yield
        self.known.pop()

    @contextmanager
    def loop(self, name: str, begin: ir.Value, end: ir.Value, step: int | ir.Value = 1) -> Iterator[ir.Value]:
        """A loop from `begin` while the counter is below `end`."""
        b = self.builder
        before = b.block
        body, after = self.function.append_basic_block(name), self.function.append_basic_block(f"{name}.done")
        b.cbranch(b.icmp_signed("<", begin, end), body, after)
        b.position_at_end(body)
        counter = b.phi(INTEGER, name)
        counter.add_incoming(begin, before)
        with self.scope():
            yield counter
        following = b.add(counter, self.integer(step) if isinstance(step, int) else step, flags=("nsw",))
        counter.add_incoming(following, b.block)
        b.cbranch(b.icmp_signed("<", following, end), body, after)
        b.position_at_end(after)

    @contextmanager
    def when(self, condition: ir.Value, name: str, likely: bool | None = None) -> Iterator[None]:
        """Code for where a condition holds."""
        b = self.builder
        body, after = self.function.append_basic_block(name), self.function.append_basic_block(f"{name}.done")
        branch = b.cbranch(condition, body, after)
        if likely is not None:
            branch.set_weights([1000, 1] if likely else [1, 1000])
        b.position_at_end(body)
        with self.scope():
            yield
        b.branch(after)
        b.position_at_end(after)

    def variable(self, type_: ir.Type, name: str) -> ir.Value:
        """A local variable, which LLVM keeps in a register."""
        found = self.first.alloca(type_, name=name)
        found.type = POINTER
        return found

    def address(self, pointer: ir.Value, type_: ir.Type, index: ir.Value) -> ir.Value:
        """Where the entry at an index is; a vector of addresses for a vector of indices."""
        found = self.builder.gep(pointer, [index], inbounds=True, source_etype=type_)
        if lanes_of(index):
            found.type = vector(POINTER, lanes_of(index))
        return found

    # ---- small things

    def integer(self, value: int) -> ir.Constant:
        return ir.Constant(INTEGER, value)

    def lesser(self, left: ir.Value, right: ir.Value) -> ir.Value:
        return self.builder.select(self.builder.icmp_signed("<", left, right), left, right)

    def greater(self, left: ir.Value, right: ir.Value) -> ir.Value:
        return self.builder.select(self.builder.icmp_signed(">", left, right), left, right)

    def opaque(self, value: ir.Value) -> ir.Value:
        """An i64 of which LLVM cannot tell what it is: it comes out of an empty piece of assembly."""
        return self.builder.asm(ir.FunctionType(INTEGER, [INTEGER]), "", "=r,0", [value], False)

    def spread(self, value: ir.Value, lanes: int) -> ir.Value:
        """A scalar in every lane of a vector."""
        if lanes_of(value) or not lanes:
            return value
        if isinstance(value, ir.Constant):
            return constant(vector(value.type, lanes), value.constant)
        type_ = vector(value.type, lanes)
        one = self.builder.insert_element(undefined(type_), value, ir.Constant(ir.IntType(32), 0))
        return shuffled(self.builder, one, None, [0] * lanes)

    def count_up(self, lanes: int) -> ir.Constant:
        """0, 1, 2, ..."""
        return ir.Constant(vector(INTEGER, lanes), [ir.Constant(INTEGER, n) for n in range(lanes)])

    def intrinsic(self, name: str, overloads: list[ir.Type], result: ir.Type, arguments: list[ir.Value]) -> ir.Value:
        """A call of an intrinsic, declared when it is first met."""
        full = ".".join([name, *map(suffix, overloads)])
        return self.call(full, result, arguments)

    def fetch(self, address: ir.Value) -> None:
        """Ask for what is at an address, before it is read."""
        arguments = [address, *(ir.Constant(ir.IntType(32), n) for n in (0, 3, 1))]
        self.intrinsic("llvm.prefetch", [POINTER], ir.VoidType(), arguments)

    def call(self, name: str, result: ir.Type, arguments: list[ir.Value]) -> ir.Value:
        """A call of a function of this name."""
        found = self.module.globals.get(name)
        if found is None:
            found = ir.Function(self.module, ir.FunctionType(result, [a.type for a in arguments]), name)
        return self.builder.call(found, arguments)


def polynomial(builder: ir.IRBuilder, sizes: Mapping[str, ir.Value], dim: DimLike) -> ir.Value:
    """The value of a size where a builder stands."""
    if isinstance(dim, int):
        return ir.Constant(INTEGER, dim)
    total: ir.Value | None = None
    for monomial, coefficient in dim.terms:
        value: ir.Value | None = None
        for atom, power in monomial:
            base = sizes[atom] if isinstance(atom, str) else _rounded(builder, sizes, atom)
            for _ in range(power):
                value = base if value is None else builder.mul(value, base, flags=("nsw",))
        if value is None:
            value = ir.Constant(INTEGER, coefficient)
        elif coefficient != 1:
            value = builder.mul(value, ir.Constant(INTEGER, coefficient), flags=("nsw",))
        total = value if total is None else builder.add(total, value, flags=("nsw",))
    assert total is not None
    return total


def _rounded(b: ir.IRBuilder, sizes: Mapping[str, ir.Value], atom: Rounded) -> ir.Value:
    left, right = polynomial(b, sizes, atom.left), polynomial(b, sizes, atom.right)
    if atom.kind == "div":
        quotient = b.sdiv(left, right)
        zero = ir.Constant(INTEGER, 0)
        is_below = b.and_(b.icmp_signed("!=", b.srem(left, right), zero), b.icmp_signed("<", b.xor(left, right), zero))
        return b.sub(quotient, b.zext(is_below, INTEGER))
    relation = "<" if atom.kind == "min" else ">"
    return b.select(b.icmp_signed(relation, left, right), left, right)
