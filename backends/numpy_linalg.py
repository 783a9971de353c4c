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


def _pinv(site: Site) -> str:
    if site.args[0].dtype.size == (16 if site.args[0].dtype.kind == "c" else 8):
        return f"np.linalg.pinv({site.args[0].text})"
    return f"np.linalg.pinv({site.args[0].text}, rcond=1e-06)"


def _lstsq(site: Site) -> str:
    if all(a.tensor.rank <= 2 for a in site.node.args) and not site.may_be_empty:
        return f"np.linalg.lstsq({site.args[0].text}, {site.args[1].text}, rcond=None)[0]"
    if all(a.tensor.rank <= 2 for a in site.node.args):
        return f"{site.help('_lstsq')}({site.args[0].text}, {site.args[1].text})"
    return f"{_pinv(site)} @ {site.args[1].text}"


def _matpow(site: Site) -> str:
    power = site.args[1]
    if power.python and power.text.lstrip("-").isdigit():
        return f"{site.help('_power')}({site.args[0].text}, {power.text}, {site.labels[0]!r})"
    call = f"{site.help('_matpow')}({{}}, {power.text}, {site.labels[0]!r})"
    if site.rank == 2:
        return call.format(site.args[0].text)
    return f"{site.help('_each')}(lambda A: {call.format('A')}, {site.args[0].text})"


LINALG: dict[str, Entry] = {
    "inv": named_error("_inv"),
    "pinv": _pinv,
    "solve": named_error("_solve"),
    "lstsq": _lstsq,
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
    "svd": "np.linalg.svd({0}, full_matrices=False)",
    "svdvals": "np.linalg.svd({0}, compute_uv=False)",
    "eigh": "np.linalg.eigh({0})",
    "eigvalsh": "np.linalg.eigvalsh({0})",
    "eig": lambda site: f"{site.help('_eig')}({site.args[0].text})",
    "eigvals": lambda site: fill("np.linalg.eigvals({0}).astype({dtype})", site.args[0].text, dtype=site.dtype),
    "expm": each("_expm"),
    "logm": each("_logm"),
    "sqrtm": each("_sqrtm"),
    "matpow": _matpow,
    "matrix_rank": "np.linalg.matrix_rank({0})",
    "cond": lambda site: f"{site.help('_cond')}({site.args[0].text})",
}
