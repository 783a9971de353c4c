"""Random numbers: those of NumPy's Philox generator in every backend."""

from __future__ import annotations

from tpc.backends.dialect import Entry, Site

SKETCHES = ("sparse_sketch", "csr_sketch")


def drawn(site: Site) -> str:
    """Random numbers, as NumPy's Philox generator gives them in double precision."""
    name = site.node.op.name
    shape = site.shape(site.node.tensor.dims)
    generator = f"np.random.Generator(np.random.Philox({int(site['seed'])}))"
    if name in SKETCHES:
        rows, columns = site.node.tensor.dims
        return (
            f"{site.help('_sparse_sketch')}({site.size(rows)}, {site.size(columns)}, {site['s']}, {int(site['seed'])})"
        )
    if name == "rademacher":
        return f"2.0 * {generator}.integers(0, 2, {shape}) - 1.0"
    return f"{generator}.{'standard_normal' if name == 'normal' else 'random'}({shape})"


def _random(site: Site) -> str:
    return drawn(site) if site.dtype == "np.float64" else f"({drawn(site)}).astype({site.dtype})"


RANDOM: dict[str, Entry] = dict.fromkeys(("normal", "uniform", "rademacher", "sparse_sketch"), _random)
