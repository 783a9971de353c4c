"""What a product of several matrices has that no product of two of them shows: X' @ S @ X, x @ S @ x."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tpc.ir.dims import DimLike
from tpc.ir.facts.closing import Reason
from tpc.ir.facts.lines import Known, Place
from tpc.ir.node import Fact

Product = Callable[[Sequence[Known]], "Known | None"]

# What X' @ S @ X keeps of S.
KEPT = ("symmetric", "psd", "skew")
# What a positive multiple of the identity has, and nothing else.
SHIFT = frozenset({"diagonal", "toeplitz", "spd"})


def congruence(
    factors: Sequence[Known],
    nonnegative: Sequence[DimLike] = (),
    product: Product = lambda factors: None,
) -> Iterator[tuple[Fact, Reason]]:
    """What follows for a product whose outer factors are transposes of each other.

    Parameters
    ----------
    factors : sequence
        In order, with identities; a vector at an end stands for a row or a column.
    product : callable, optional
        What is known of the product of some of the factors.

    Yields
    ------
    Facts of the product, with reasons whose positions are those of the factors.
    """
    outer = 0
    while 2 * outer + 1 < len(factors) and factors[outer].transposed == factors[-1 - outer].identity is not None:
        outer += 1
    inner = factors[outer : len(factors) - outer]
    if not outer:
        return
    columns = _full_columns(factors, outer, nonnegative, product)
    if not inner:
        yield Fact("nonnegative" if factors[0].type.rank == 1 else "psd"), Reason("it is A' @ A")
        if columns is not None:
            yield Fact("spd"), Reason("it is A' @ A with A of full column rank", columns)
        return
    middle = inner[0] if len(inner) == 1 else product(inner)
    names = {fact.name for fact in middle.facts} if middle is not None else set()

    def of_middle(name: str) -> tuple[tuple[int, Fact], ...]:
        return ((outer, Fact(name)),) if len(inner) == 1 else ()

    if factors[0].type.rank == 1:
        if "psd" in names:
            yield Fact("nonnegative"), Reason("it is x' @ S @ x with S psd", of_middle("psd"))
        return
    for name in KEPT:
        if name in names:
            yield Fact(name), Reason(f"it is X' @ S @ X with S {name}", of_middle(name))
    if "spd" in names and columns is not None:
        yield Fact("spd"), Reason("it is X' @ S @ X with S spd and X of full column rank", of_middle("spd") + columns)


def of_shift(
    factors: Sequence[Known], nonnegative: Sequence[DimLike] = (), product: Product = lambda factors: None
) -> Iterator[tuple[Fact, Reason]]:
    """What follows for a product of some factors with a positive multiple of the identity added.

    Of psd S and T, S @ T has the eigenvalues of R @ T @ R with R the root of S, and these are not negative.
    """

    def premises(half: Sequence[Known], start: int) -> tuple[tuple[int, Fact], ...] | None:
        """What shows that a product of factors is psd, if it is known to be."""
        psd = Fact("psd")
        if len(half) == 1:
            return ((start, psd),) if psd in half[0].facts else None
        reasons = (reason for fact, reason in congruence(half, nonnegative, product) if fact == psd)
        return next((tuple((start + n, f) for n, f in r.premises if n is not None) for r in reasons), None)

    for cut in range(1, len(factors)):
        halves = premises(factors[:cut], 0), premises(factors[cut:], cut)
        if halves[0] is not None and halves[1] is not None:
            yield Fact("nonsingular"), Reason("it is a * I + S @ T with a > 0 and S and T psd", halves[0] + halves[1])
            return


def _full_columns(
    factors: Sequence[Known], count: int, nonnegative: Sequence[DimLike], product: Product
) -> tuple[tuple[int, Fact], ...] | None:
    """What shows that the product of the last factors has full column rank, if it is known to."""
    place = Place({}, nonnegative=nonnegative)
    start = len(factors) - count
    last = factors[start:]
    if last[-1].type.rank < 2:
        return None
    if all(_is_tall(known, place) for known in last):
        return tuple((start + n, Fact("full_rank")) for n in range(count))
    whole = product(last)
    return () if whole is not None and _is_tall(whole, place) else None


def _is_tall(known: Known, place: Place) -> bool:
    """Whether a matrix is known to have full column rank."""
    rows, columns = known.type.dims[-2:]
    return place.proves(rows - columns) and any(fact.name == "full_rank" for fact in known.facts)
