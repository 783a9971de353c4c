"""Lane by lane: what is rare, or what only the C library has."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from tpc.backends.llvm.mathematics.vector import DOUBLE, Vec, call, element, suffix, undefined


def by_lane(symbol: str, *arguments: Vec) -> Vec:
    """A function of the C library (`symbol` is its name for double) on each lane, in a function of its own."""
    first = arguments[0]
    name = symbol if first.format is DOUBLE else f"{symbol}f"
    if not isinstance(first.type, ir.VectorType):
        return Vec(first.builder, call(first.builder, name, first.type, [a.value for a in arguments]))
    module = first.builder.module
    function = module.globals.get(f"tpc.lanes.{symbol}.{suffix(first.type)}") or _loop(module, symbol, name, arguments)
    return Vec(first.builder, first.builder.call(function, [a.value for a in arguments]))


def _loop(module: Any, symbol: str, name: str, arguments: tuple[Vec, ...]) -> Any:
    type_ = arguments[0].type
    signature = ir.FunctionType(type_, [a.type for a in arguments])
    function = ir.Function(module, signature, f"tpc.lanes.{symbol}.{suffix(type_)}")
    function.linkage = "internal"
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block())
    result = undefined(type_)
    for i in range(type_.count):
        lane = ir.Constant(ir.IntType(32), i)
        lanes = [builder.extract_element(a, lane) for a in function.args]
        result = builder.insert_element(result, call(builder, name, element(type_), lanes), lane)
    builder.ret(result)
    return function


def otherwise_by_lane(holds: Vec, result: Vec, symbol: str, *arguments: Vec) -> Vec:
    """The result where it holds; the C library's, behind a branch, where it does not."""
    builder = result.builder
    before = builder.block
    with builder.if_then((~holds).any(), likely=False):
        slow = holds.where(result, by_lane(symbol, *arguments))
        after = builder.block
    merged = builder.phi(result.type)
    merged.add_incoming(result.value, before)
    merged.add_incoming(slow.value, after)
    return Vec(builder, merged)
