"""What the ops of linear algebra are in NumPy and SciPy."""

from __future__ import annotations

from collections.abc import Callable

from tpc.backends.code import fill
from tpc.backends.dialect import Entry, Site


def named_error(helper: str) -> Callable[[Site], str]:
    """A helper that is told what to call its first operand in an error."""

    def text(site: Site) -> str:
        parts = [a.text for a in site.args]
        return f"{site.help(helper)}({', '.join(parts)}, {site.labels[0]!r})"

    return text


def each(helper: str) -> Callable[[Site], str]:
    """A helper for one matrix, over batch axes where there are any."""

    def text(site: Site) -> str:
        if site.rank == 2:
            return f"{site.help(helper)}({site.args[0].text})"
        return f"{site.help('_each')}({site.help(helper)}, {site.args[0].text})"

    return text


def finite(site: Site, position: int = 0) -> str:
    """An operand that is refused, by its name, if it has entries that LAPACK does not find an end with."""
    return f"{site.help('_finite')}({site.args[position].text}, {site.labels[position]!r})"


def of_finite(template: str) -> Callable[[Site], str]:
    """A function of a matrix all of whose entries are finite."""
    return lambda site: fill(template, finite(site), dtype=site.dtype)


def may_be_wide(site: Site) -> bool:
    """Whether a matrix may have rows twice as long as its columns, which LAPACK is slow with."""
    rows, columns = site.dims[-2:]
    return not (isinstance(rows, int) and isinstance(columns, int)) or columns >= 2 * rows


def _svd(site: Site) -> str:
    if may_be_wide(site):
        return f"{site.help('_svd')}({finite(site)})"
    return f"np.linalg.svd({finite(site)}, full_matrices=False)"


def _upright(site: Site) -> str:
    return f"{site.help('_upright')}({finite(site)})" if may_be_wide(site) else finite(site)


def _pinv(site: Site) -> str:
    if site.args[0].dtype.size == (16 if site.args[0].dtype.kind == "c" else 8):
        return f"np.linalg.pinv({finite(site)})"
    return f"np.linalg.pinv({finite(site)}, rcond=1e-06)"


def _lstsq(site: Site) -> str:
    if all(a.tensor.rank <= 2 for a in site.node.args) and not site.may_be_empty:
        return f"np.linalg.lstsq({finite(site)}, {finite(site, 1)}, rcond=None)[0]"
    if all(a.tensor.rank <= 2 for a in site.node.args):
        return f"{site.help('_lstsq')}({finite(site)}, {finite(site, 1)})"
    return f"{_pinv(site)} @ {site.args[1].text}"


def _matpow(site: Site) -> str:
    power = site.args[1]
    if power.python and power.text.lstrip("-").isdigit():
        return f"{site.help('_power')}({site.args[0].text}, {power.text}, {site.labels[0]!r})"
    call = f"{site.help('_matpow')}({{}}, {power.text}, {site.labels[0]!r})"
    if site.rank == 2:
        return call.format(site.args[0].text)
    return f"{site.help('_each')}(lambda A: {call.format('A')}, {site.args[0].text})"


def _sylvester(site: Site) -> str:
    a, b = finite(site, 0), finite(site, 1)
    more = f"{site.dtype}, {site.labels[0]!r}, {site.labels[1]!r}"
    if site.node.tensor.rank == 2:
        return f"{site.help('_sylvester')}({a}, {b}, {site.args[2].text}, {more})"
    call = f"lambda A, B, C: {site.help('_sylvester')}(A, B, C, {more})"
    return f"{site.help('_each')}({call}, {a}, {b}, {site.args[2].text})"


LINALG: dict[str, Entry] = {
    "inv": named_error("_inv"),
    "pinv": _pinv,
    "solve": named_error("_solve"),
    "lstsq": _lstsq,
    "sylvester": _sylvester,
    "det": "np.linalg.det({0})",
    "logdet": lambda site: (
        f"{site.help('_logdet')}({site.args[0].text})"
        if site.args[0].dtype.kind != "c"
        else f"np.linalg.slogdet({site.args[0].text})[1]"
    ),
    "slogdet": "np.linalg.slogdet({0})",
    "lu": each("_lu"),
    "ldl": each("_ldl"),
    "qr": "np.linalg.qr({0})",
    "svd": _svd,
    "svdvals": lambda site: f"np.linalg.svd({_upright(site)}, compute_uv=False)",
    "eigh": of_finite("np.linalg.eigh({0})"),
    "eigvalsh": of_finite("np.linalg.eigvalsh({0})"),
    "eig": lambda site: f"{site.help('_eig')}({finite(site)})",
    "eigvals": of_finite("np.linalg.eigvals({0}).astype({dtype})"),
    "expm": each("_expm"),
    "logm": each("_logm"),
    "sqrtm": each("_sqrtm"),
    "matpow": _matpow,
    "matrix_rank": of_finite("np.linalg.matrix_rank({0})"),
    "cond": lambda site: f"{site.help('_cond')}({finite(site)}, {site.labels[0]!r})",
}
