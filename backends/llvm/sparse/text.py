"""LLVM IR of a kernel for sparse matrices while it is written: lines, and names of values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from tpc.ir.types import F32, F64, DType

LANES = {F64: 8, F32: 16}
SPELLED = {F64: "double", F32: "float"}
SHORT = "i16"  # places without a sign
RUN = ""  # stands for the lines that run the parts
GRAIN = 16  # rows that a thread takes at least


class Text:
    """A function while it is written.

    `lanes` numbers of its format make a vector. Places in arrays have the type `place`, other integers that of `index`.
    """

    def __init__(self, dtype: DType, index: str = "i32", place: str = "") -> None:
        self.lines: list[str] = []
        self.starts: list[str] = []  # of variables, which stand first
        self.named: list[str] = []
        self.declared: dict[str, None] = {}
        self.count = 0
        self.scalar, self.lanes, self.index = SPELLED[dtype], LANES[dtype], index
        self.place = place or index
        self.size = dtype.size
        self.vector = f"<{self.lanes} x {self.scalar}>"
        self.mask = f"<{self.lanes} x i1>"
        self.suffix = f"v{self.lanes}f{8 * self.size}"

    def let(self, text: str) -> str:
        self.count += 1
        self.lines.append(f"  %t{self.count} = {text}")
        return f"%t{self.count}"

    def do(self, text: str) -> None:
        self.lines.append(f"  {text}")

    def name(self, name: str, text: str) -> None:
        """A value with a name of its own."""
        self.named.append(name)
        self.do(f"%{name} = {text}")

    def room(self, count: int) -> str:
        """Memory for so many integers."""
        self.count += 1
        self.starts.append(f"  %t{self.count} = alloca [{count} x i64]")
        return f"%t{self.count}"

    def vectors(self, count: int) -> str:
        """Memory for so many vectors."""
        self.count += 1
        self.starts.append(f"  %t{self.count} = alloca [{count} x {self.vector}], align 64")
        return f"%t{self.count}"

    def add(self, a: str | int, b: str | int) -> str:
        return self.let(f"add i64 {a}, {b}")

    def sub(self, a: str | int, b: str | int) -> str:
        return self.let(f"sub i64 {a}, {b}")

    def mul(self, a: str | int, b: str | int) -> str:
        return self.let(f"mul i64 {a}, {b}")

    def div(self, a: str | int, b: str | int) -> str:
        return self.let(f"sdiv i64 {a}, {b}")

    def largest(self, a: str, b: str) -> str:
        return self.call("i64", "llvm.smax.i64", ("i64", a), ("i64", b))

    def smallest(self, a: str, b: str) -> str:
        return self.call("i64", "llvm.smin.i64", ("i64", a), ("i64", b))

    def variable(self, type: str, value: str) -> str:
        """A variable that has a value from here on; the optimiser makes registers of them."""
        self.count += 1
        name = f"%t{self.count}"
        self.starts.append(f"  {name} = alloca {type}")
        self.do(f"store {type} {value}, ptr {name}")
        return name

    def value(self, type: str, variable: str) -> str:
        return self.let(f"load {type}, ptr {variable}")

    def call(self, type: str, name: str, *arguments: tuple[str, str], flags: str = "") -> str:
        """The result of an intrinsic, given the types and values of its arguments."""
        self.declared[f"declare {type} @{name}({', '.join(kind for kind, _ in arguments)})"] = None
        return self.let(f"call {flags}{type} @{name}({', '.join(f'{kind} {value}' for kind, value in arguments)})")

    # ---- memory

    def at(self, base: str, place: str, entry: str = "") -> str:
        return self.let(f"getelementptr {entry or self.scalar}, ptr {base}, i64 {place}")

    def number(self, base: str, place: str) -> str:
        return self.let(f"load {self.scalar}, ptr {self.at(base, place)}")

    def position(self, base: str, place: str) -> str:
        """An integer of an array."""
        type = self.place if base == "%places" else self.index
        found = self.let(f"load {type}, ptr {self.at(base, place, type)}")
        return found if type == "i64" else self.let(f"{'zext' if type == SHORT else 'sext'} {type} {found} to i64")

    def byte(self, base: str, place: str) -> str:
        """A number from 0 to 255."""
        address = self.at(base, place, "i8")
        return self.let(f"zext i8 {self.let(f'load i8, ptr {address}')} to i64")

    def load(self, base: str, place: str, mask: str | None = None) -> str:
        """A vector of numbers; those that the mask leaves out are zero."""
        address = self.at(base, place)
        if mask is None:
            return self.let(f"load {self.vector}, ptr {address}, align {self.size}")
        return self.masked(self.vector, self.suffix, address, mask, self.size)

    def places(self, base: str, place: str, mask: str | None = None) -> str:
        """A vector of places."""
        type, address = f"<{self.lanes} x {self.place}>", self.at(base, place, self.place)
        size = int(self.place[1:]) // 8
        if mask is None:
            found = self.let(f"load {type}, ptr {address}, align {size}")
        else:
            found = self.masked(type, f"v{self.lanes}{self.place}", address, mask, size)
        return self.let(f"zext {type} {found} to <{self.lanes} x {self.index}>") if self.place == SHORT else found

    def masked(self, type: str, suffix: str, address: str, mask: str, size: int) -> str:
        given = ("ptr", address), ("i32", str(size)), (self.mask, mask), (type, "zeroinitializer")
        return self.call(type, f"llvm.masked.load.{suffix}.p0", *given)

    def gather(self, base: str, places: str, mask: str | None = None) -> str:
        """The numbers at the places of a vector."""
        pointers = f"<{self.lanes} x ptr>"
        addresses = self.let(f"getelementptr {self.scalar}, ptr {base}, <{self.lanes} x {self.index}> {places}")
        given = (pointers, addresses), ("i32", str(self.size)), (self.mask, mask or self.all_lanes())
        name = f"llvm.masked.gather.{self.suffix}.v{self.lanes}p0"
        return self.call(self.vector, name, *given, (self.vector, "zeroinitializer"))

    def store(self, value: str, base: str, place: str, mask: str | None = None) -> None:
        address = self.at(base, place)
        if mask is None:
            self.do(f"store {self.vector} {value}, ptr {address}, align {self.size}")
            return
        name = f"llvm.masked.store.{self.suffix}.p0"
        self.declared[f"declare void @{name}({self.vector}, ptr, i32, {self.mask})"] = None
        self.do(f"call void @{name}({self.vector} {value}, ptr {address}, i32 {self.size}, {self.mask} {mask})")

    def store_number(self, value: str, base: str, place: str) -> None:
        self.do(f"store {self.scalar} {value}, ptr {self.at(base, place)}")

    def fetch(self, place: str) -> None:
        """Begin to read entries and places that are needed later, which may be beyond the end."""
        self.fetch_from("%entries", place)
        self.fetch_from("%places", place, self.place)

    def fetch_from(self, base: str, place: str, entry: str = "") -> None:
        """Begin to read a line of the cache, which may be beyond the end."""
        self.declared["declare void @llvm.prefetch.p0(ptr, i32, i32, i32)"] = None
        self.do(f"call void @llvm.prefetch.p0(ptr {self.at(base, place, entry)}, i32 0, i32 3, i32 1)")

    # ---- vectors

    def all_lanes(self) -> str:
        return f"<{', '.join(['i1 true'] * self.lanes)}>"

    def first_lanes(self, count: str) -> str:
        """A mask of so many lanes, or of all where there are more."""
        type = f"<{self.lanes} x i64>"
        steps = ", ".join(f"i64 {lane}" for lane in range(self.lanes))
        return self.let(f"icmp slt {type} <{steps}>, {self.spread(count, 'i64')}")

    def spread(self, value: str, scalar: str = "", lanes: int = 0) -> str:
        """A number in all lanes."""
        scalar, lanes = scalar or self.scalar, lanes or self.lanes
        type = f"<{lanes} x {scalar}>"
        first = self.let(f"insertelement {type} poison, {scalar} {value}, i32 0")
        return self.let(f"shufflevector {type} {first}, {type} poison, <{lanes} x i32> zeroinitializer")

    def total(self, vector: str) -> str:
        """The sum over the lanes."""
        name = f"llvm.vector.reduce.fadd.{self.suffix}"
        return self.call(self.scalar, name, (self.scalar, "0.0"), (self.vector, vector), flags="reassoc ")

    def totals(self, vectors: Sequence[str]) -> str:
        """The sums over the lanes of some vectors, 2, 4 or more, as a vector of these."""
        parts, lanes = list(vectors), self.lanes
        each = lanes  # lanes that belong to one vector
        while each > 1:
            each //= 2
            type = f"<{lanes} x {self.scalar}>"
            pairs = list(zip(parts[::2], parts[1::2], strict=True)) if len(parts) > 1 else [(parts[0], "poison")]
            count = lanes if len(parts) > 1 else lanes // 2
            halves = [[place for place in range(2 * count) if place // each % 2 == half] for half in (0, 1)]
            parts = []
            for a, b in pairs:
                low, high = (
                    self.let(
                        f"shufflevector {type} {a}, {type} {b}, "
                        f"<{count} x i32> <{', '.join(f'i32 {place}' for place in places)}>"
                    )
                    for places in halves
                )
                parts.append(self.let(f"fadd <{count} x {self.scalar}> {low}, {high}"))
            lanes = count
        return parts[0]

    def add_product(self, target: str, a: str, b: str, type: str = "") -> None:
        """variable += a * b"""
        type = type or self.vector
        self.do(f"store {type} {self.plus_product(self.value(type, target), a, b, type)}, ptr {target}")

    def plus_product(self, total: str, a: str, b: str, type: str = "") -> str:
        """total + a * b"""
        type = type or self.vector
        product = self.let(f"fmul contract {type} {a}, {b}")
        return self.let(f"fadd contract {type} {total}, {product}")

    # ---- control

    def fail(self, condition: str, status: int) -> None:
        """Let the whole end with a status if a condition holds."""
        with self.when(condition):
            self.do(f"store atomic i64 {status}, ptr %status monotonic, align 8")

    @contextmanager
    def loop(self, first: str, last: str, step: int | str = 1) -> Iterator[str]:
        """Lines that are run while a counter, of which the name is given, is below the end."""
        counter = self.variable("i64", first)
        number = self.count
        self.do(f"br label %head{number}")
        self.lines.append(f"head{number}:")
        now = self.value("i64", counter)
        self.do(f"br i1 {self.let(f'icmp slt i64 {now}, {last}')}, label %body{number}, label %end{number}")
        self.lines.append(f"body{number}:")
        yield now
        self.do(f"store i64 {self.add(now, step)}, ptr {counter}")
        self.do(f"br label %head{number}")
        self.lines.append(f"end{number}:")

    @contextmanager
    def when(self, condition: str) -> Iterator[None]:
        """Lines that are run if a condition holds."""
        self.count += 1
        number = self.count
        self.do(f"br i1 {condition}, label %then{number}, label %after{number}")
        self.lines.append(f"then{number}:")
        yield
        self.do(f"br label %after{number}")
        self.lines.append(f"after{number}:")

    @contextmanager
    def unless(self, condition: str) -> Iterator[None]:
        """Lines that are run if a condition does not hold."""
        with self.when(self.let(f"xor i1 {condition}, true")):
            yield

    @contextmanager
    def repeated(self) -> Iterator[Callable[[str], None]]:
        """Lines that are run once, and again while a condition holds that they name last."""
        self.count += 1
        number = self.count
        self.do(f"br label %again{number}")
        self.lines.append(f"again{number}:")
        yield lambda condition: self.do(f"br i1 {condition}, label %again{number}, label %done{number}")
        self.lines.append(f"done{number}:")

    def whole(self, count: str, block: int) -> str:
        """The part of a number that is made of whole blocks."""
        return self.let(f"sub i64 {count}, {self.let(f'srem i64 {count}, {block}')}")

    def shift(self, base: str, length: str) -> str:
        """The lanes by which rows of a length lie behind the lines of the cache, where it is the same for all."""
        place = self.let(f"ptrtoint ptr {base} to i64")
        lane = self.let(f"lshr i64 {place}, {self.size.bit_length() - 1}")
        is_same = self.let(f"icmp eq i64 {self.let(f'urem i64 {length}, {self.lanes}')}, 0")
        return self.let(f"select i1 {is_same}, i64 {self.let(f'and i64 {lane}, {self.lanes - 1}')}, i64 0")

    def columns(
        self, tiles: Sequence[int], shift: str = "0", first: str = "0", last: str = "%columns"
    ) -> Iterator[tuple[str, list[str | None]]]:
        """The columns in tiles of so many vectors: where one begins, and the masks of its vectors.

        The first begins so many lanes ahead of the columns, so that vectors do not lie across two lines of the cache.
        """
        done = self.sub(first, shift)
        for count in tiles:
            width = count * self.lanes
            padded = self.add(self.sub(last, done), self.lanes - 1)
            vectors = self.div(padded, self.lanes)
            end = self.add(done, self.mul(self.whole(vectors, count), self.lanes))
            with self.loop(done, end, width) as column:
                inside = self.first_lanes(self.sub(first, column))
                head = self.let(f"xor {self.mask} {inside}, {self.all_lanes()}")
                tail = self.first_lanes(self.sub(last, self.add(column, width - self.lanes)))
                if count == 1:
                    yield column, [self.let(f"and {self.mask} {head}, {tail}")]
                else:
                    yield column, [head, *[None] * (count - 2), tail]
            done = end

    # ---- the whole

    def run(self) -> None:
        """Here the parts are run by several threads; else that is last."""
        self.lines.append(RUN)

    def function(
        self, name: str, sizes: Sequence[str], pointers: Sequence[str], around: Text, grain: int = GRAIN
    ) -> str:
        """The native function, whose lines are run for parts of the rows, from %begin to %end, by several threads.

        `around` has the lines that give the number of rows as %count, and other integers that are given names there;
        `grain` rows make a part at least. Sizes come before pointers, a workspace last.
        """
        kinds = [("i64", size) for size in sizes] + [("ptr", pointer) for pointer in (*pointers, "workspace")]
        shared = [*kinds, ("ptr", "status"), *(("i64", named) for named in around.named)]
        frame = f"{{ {', '.join(kind for kind, _ in shared)} }}"
        pack, unpack = [], []
        for place, (kind, value) in enumerate(shared):
            address = f"getelementptr {frame}, ptr %context, i32 0, i32 {place}"
            pack += [f"  %field{place} = {address}", f"  store {kind} %{value}, ptr %field{place}"]
            unpack += [f"  %field{place} = {address}", f"  %{value} = load {kind}, ptr %field{place}"]
        run = [*pack, f"  call void @tpc_parallel(ptr @{name}_part, ptr %context, i64 %count, i64 {grain})"]
        lines = around.lines if RUN in around.lines else [*around.lines, RUN]
        return "\n".join(
            [
                *(self.declared | around.declared),
                "declare void @tpc_parallel(ptr, ptr, i64, i64)",
                f"define internal void @{name}_part(ptr %context, i64 %begin, i64 %end) {{",
                "start:",
                *self.starts,
                *unpack,
                *self.lines,
                "  ret void",
                "}",
                f"define i64 @{name}({', '.join(f'{kind} %{value}' for kind, value in kinds)}) {{",
                f"  %context = alloca {frame}",
                "  %status = alloca i64",
                "  store i64 0, ptr %status",
                *around.starts,
                *(part for line in lines for part in (run if line == RUN else [line])),
                "  %given = load i64, ptr %status",
                "  ret i64 %given",
                "}",
                "",
            ]
        )
