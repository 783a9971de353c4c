"""Small native functions, written by hand."""

from __future__ import annotations

from collections.abc import Sequence

from tpc.backends.llvm.signature import Array, Failure, Native, Signature
from tpc.ir.dims import DimLike, named
from tpc.ir.types import F64, I64, DType

n, m = named("n"), named("m")


def loop(body: str, bound: str = "%n", name: str = "loop") -> str:
    """`body` for each %i below a bound; blocks follow each other."""
    return f"""
  br label %{name}_head
{name}_head:
  %i = phi i64 [ 0, %0 ], [ %i_next, %{name}_body ]
  %goes_on = icmp slt i64 %i, {bound}
  br i1 %goes_on, label %{name}_body, label %{name}_end
{name}_body:
{body}
  %i_next = add i64 %i, 1
  br label %{name}_head
{name}_end:
"""


def native(
    name: str,
    operands: Sequence[tuple[str, DType, tuple[DimLike, ...]]],
    results: Sequence[tuple[str, DType, tuple[DimLike, ...]]],
    text: str,
    sizes: Sequence[str] = ("n",),
    symbols: Sequence[str] = (),
    workspace: DimLike = 0,
    errors: Sequence[Failure] = (),
    before: str = "",
) -> Native:
    """A function of this body, whose values have the names of the signature."""
    arrays = [Array(*o) for o in operands], [Array(*r) for r in results]
    signature = Signature(name, tuple(sizes), tuple(arrays[0]), tuple(arrays[1]), workspace, tuple(errors))
    pointers = ", ".join(f"ptr %{a.name}" for a in (*arrays[0], *arrays[1]))
    head = ", ".join([*(f"i64 %{s}" for s in sizes), *([pointers] if pointers else []), "ptr %workspace"])
    return Native(signature, f"{before}\ndefine i64 @{name}({head}) {{\n{text}}}\n", tuple(symbols))


def binary(name: str, operation: str, type: str = "double", dtype: DType = F64) -> Native:
    """An operation on each pair of entries."""
    body = f"""
  %xp = getelementptr {type}, ptr %x, i64 %i
  %yp = getelementptr {type}, ptr %y, i64 %i
  %op = getelementptr {type}, ptr %out, i64 %i
  %a = load {type}, ptr %xp
  %b = load {type}, ptr %yp
  %c = {operation} {type} %a, %b
  store {type} %c, ptr %op
"""
    vector = [("x", dtype, (n,)), ("y", dtype, (n,))]
    return native(name, vector, [("out", dtype, (n,))], loop(body) + "  ret i64 0\n")


ADD = binary("add", "fadd")

# s * x + count, where both are without axes
SCALE = native(
    "scale",
    [("x", F64, (n,)), ("s", F64, ()), ("count", I64, ())],
    [("out", F64, (n,))],
    """
  %factor = load double, ptr %s
  %many = load i64, ptr %count
  %shift = sitofp i64 %many to double
"""
    + loop("""
  %xp = getelementptr double, ptr %x, i64 %i
  %op = getelementptr double, ptr %out, i64 %i
  %a = load double, ptr %xp
  %b = fmul double %a, %factor
  %c = fadd double %b, %shift
  store double %c, ptr %op
""")
    + "  ret i64 0\n",
)

# the sum of the entries, and each of them doubled
SUM = native(
    "total",
    [("x", F64, (n,))],
    [("sum", F64, ()), ("twice", F64, (n,))],
    "  store double 0.0, ptr %sum\n"
    + loop("""
  %xp = getelementptr double, ptr %x, i64 %i
  %op = getelementptr double, ptr %twice, i64 %i
  %a = load double, ptr %xp
  %so_far = load double, ptr %sum
  %more = fadd double %so_far, %a
  store double %more, ptr %sum
  %b = fadd double %a, %a
  store double %b, ptr %op
""")
    + "  ret i64 0\n",
)

# fails where the first entry is negative
CHECKED = native(
    "checked",
    [("x", F64, (n,))],
    [("out", F64, ())],
    """
  %a = load double, ptr %x
  store double %a, ptr %out
  %is_bad = fcmp olt double %a, 0.0
  %status = zext i1 %is_bad to i64
  ret i64 %status
""",
    errors=(Failure("ValueError", "it is negative"),),
)

# all entries doubled, in parts
TWICE = native(
    "twice",
    [("x", F64, (n,))],
    [("out", F64, (n,))],
    """
  %context = alloca [2 x ptr]
  store ptr %x, ptr %context
  %second = getelementptr ptr, ptr %context, i64 1
  store ptr %out, ptr %second
  call void @tpc_parallel(ptr @twice_part, ptr %context, i64 %n, i64 8)
  ret i64 0
""",
    symbols=("tpc_parallel",),
    before="""
declare void @tpc_parallel(ptr, ptr, i64, i64)
define internal void @twice_part(ptr %context, i64 %begin, i64 %end) {
entry:
  %x = load ptr, ptr %context
  %second = getelementptr ptr, ptr %context, i64 1
  %out = load ptr, ptr %second
  br label %head
head:
  %i = phi i64 [ %begin, %entry ], [ %i_next, %body ]
  %goes_on = icmp slt i64 %i, %end
  br i1 %goes_on, label %body, label %done
body:
  %xp = getelementptr double, ptr %x, i64 %i
  %op = getelementptr double, ptr %out, i64 %i
  %a = load double, ptr %xp
  %b = fadd double %a, %a
  store double %b, ptr %op
  %i_next = add i64 %i, 1
  br label %head
done:
  ret void
}
""",
)

# a copy by way of the workspace
COPY = native(
    "copied",
    [("x", F64, (n, m))],
    [("out", F64, (n, m))],
    """
  %entries = mul i64 %n, %m
  %bytes = mul i64 %entries, 8
  call void @llvm.memcpy.p0.p0.i64(ptr %workspace, ptr %x, i64 %bytes, i1 false)
  call void @llvm.memcpy.p0.p0.i64(ptr %out, ptr %workspace, i64 %bytes, i1 false)
  ret i64 0
""",
    sizes=("n", "m"),
    workspace=n * m * 8,
    before="declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)",
)
