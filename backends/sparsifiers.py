"""Masks of the entries that are kept, by their magnitude. NumPy and PyTorch differ only in how they sort."""

from __future__ import annotations

from tpc.backends.dialect import Entry, Helper, Site


def _largest(site: Site) -> str:
    return f"{site.help('_largest_entries')}({site.array()}, {site['fraction']}, {site['axis'] is not None})"


def _of_group(site: Site) -> str:
    return f"{site.help('_largest_of_group')}({site.array()}, {site['n']}, {site['m']})"


def _blocks(site: Site) -> str:
    return f"{site.help('_largest_blocks')}({site.array()}, {site['rows']}, {site['columns']}, {site['fraction']})"


SPARSIFIERS: dict[str, Entry] = {"largest": _largest, "largest_of_group": _of_group, "largest_blocks": _blocks}


def helpers(library: str, ranks: str) -> dict[str, Helper]:
    """The functions that generated code carries with it.

    Parameters
    ----------
    library
        The name by which code calls the library.
    ranks
        The place of each entry among those of its row, the largest of `size` first, as the library says it.
    """
    sources = {
        "_first": f'''
def _first(size, count):
    """Whether an entry is among so many largest of its row; of equal ones the first."""
    return {ranks} < count
''',
        "_largest_entries": f'''
def _largest_entries(x, fraction, by_row):
    """Whether an entry is among the fraction of largest magnitude, of its row or of all."""
    size = {library}.abs(x) if by_row else {library}.abs(x).reshape(-1)
    return _first(size, int(fraction * size.shape[-1] + 0.5)).reshape(x.shape)
''',
        "_largest_of_group": f'''
def _largest_of_group(x, n, m):
    """Whether an entry is among the n largest of its m neighbours along the last axis."""
    if x.shape[-1] % m:
        raise ValueError(f"rows of {{x.shape[-1]}} entries are not made of groups of {{m}}")
    groups = {library}.abs(x).reshape(*x.shape[:-1], x.shape[-1] // m, m)
    return _first(groups, n).reshape(x.shape)
''',
        "_largest_blocks": f'''
def _largest_blocks(A, rows, columns, fraction):
    """Whether an entry lies in a block among the fraction of largest norm."""
    if A.shape[0] % rows or A.shape[1] % columns:
        raise ValueError(f"a matrix of shape {{tuple(A.shape)}} is not made of blocks of {{rows}} by {{columns}}")
    high, wide = A.shape[0] // rows, A.shape[1] // columns
    size = ({library}.abs(A) ** 2).reshape(high, rows, wide, columns).sum((1, 3)).reshape(-1)
    mask = _first(size, int(fraction * high * wide + 0.5)).reshape(high, 1, wide, 1)
    return {library}.broadcast_to(mask, (high, rows, wide, columns)).reshape(A.shape)
''',
    }
    return {name: Helper(source, () if name == "_first" else ("_first",)) for name, source in sources.items()}
