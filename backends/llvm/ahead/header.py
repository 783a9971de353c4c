"""The header by which C and C++ know native functions."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tpc.backends.llvm.signature import Array, Signature
from tpc.backends.names import Names, words
from tpc.dsl.diagnostics import fail
from tpc.ir.dims import dim_text
from tpc.ir.types import STRONG, DType

TYPES = {"f64": "double", "f32": "float", "c128": "double", "c64": "float", "i64": "int64_t", "i32": "int32_t"}
TYPES |= {"i8": "int8_t", "bool": "uint8_t", "f16": "uint16_t", "bf16": "uint16_t"}
REMARKS = {"c128": "pairs of double", "c64": "pairs of float", "f16": "the bits", "bf16": "the bits", "bool": "0 or 1"}

KEYWORDS = words(
    "alignas alignof and asm auto bool break case catch char class concept const constexpr continue default delete do "
    "double else enum explicit export extern false float for friend goto if inline int int64_t int32_t int8_t long "
    "mutable namespace new noexcept not nullptr operator or private protected public register requires restrict return "
    "short signed sizeof static struct switch template this throw true try typedef typeid typename typeof uint8_t "
    "uint16_t union unsigned using virtual void volatile while workspace xor"
)


def header(signatures: Sequence[Signature]) -> str:
    """The header of native functions.

    Raises
    ------
    TpcError
        E1004 if the name of a function is no name in C.
    """
    for signature in signatures:
        if re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,200}", signature.name) is None or signature.name in KEYWORDS:
            raise fail(
                "E1004", f"`{signature.name}` is no name of a function in C", help="give the function another name"
            )
    guard = f"TPC_{signatures[0].name.upper()}_H"
    body = "\n\n".join(map(_declared, signatures))
    return (
        f"#ifndef {guard}\n#define {guard}\n\n{_ABOUT}\n#include <stdint.h>\n\n"
        f'#ifdef __cplusplus\nextern "C" {{\n#endif\n\n{body}\n\n#ifdef __cplusplus\n}}\n#endif\n\n#endif\n'
    )


_ABOUT = """\
/* Made by tpc.

   Sizes come first, then operands, then results, last the workspace. Arrays are row-major, without gaps, and aligned
   to their entries; a value without axes is one entry. Operands are never written to, and results must overlap
   nothing. The workspace is aligned to 64 bytes, as large as NAME_workspace says, and may be NULL where that is 0;
   what it holds does not matter. Calls in several threads need a workspace each. The result is 0, or the number of an
   error, of which NAME_error gives the text.

   Functions may use several threads: as many as TPC_THREADS says in the environment, or else one for each processor.
*/"""


def _declared(signature: Signature) -> str:
    """The declarations of a function, and in a comment its shapes."""
    names = Names(KEYWORDS)
    sizes = [names.fresh(name) for name in signature.sizes]
    spelled = dict(zip(signature.sizes, sizes))
    parameters = [f"int64_t {name}" for name in sizes]
    lines = []
    for kind, arrays in (("const ", signature.operands), ("", signature.results)):
        for array in arrays:
            name = names.fresh(array.name)
            dtype = STRONG.get(array.dtype, array.dtype)
            parameters.append(f"{kind}{TYPES[dtype.name]} *{name}")
            lines.append(f"   {name}: {_shape(array, dtype, spelled)}{'' if kind else ', result'}")
    lines += [f"   error {number}: {_plain(e.kind)}: {_plain(e.text)}" for number, e in enumerate(signature.errors, 1)]
    asked = ", ".join(parameters[: len(sizes)]) or "void"
    return "\n".join(
        [
            f"/* {signature.name}",
            *lines,
            "*/",
            f"int64_t {signature.name}({', '.join([*parameters, 'void *workspace'])});",
            f"int64_t {signature.name}_workspace({asked});",
            f"const char *{signature.name}_error(int64_t status);",
        ]
    )


def _shape(array: Array, dtype: DType, sizes: dict[str, str]) -> str:
    dims = ", ".join(dim_text(dim, sizes.__getitem__) for dim in array.dims)
    remark = f" ({REMARKS[dtype.name]})" if dtype.name in REMARKS else ""
    return f"{dtype.name}[{dims}]{remark}" if array.dims else f"{dtype.name}{remark}"


def _plain(text: str) -> str:
    """Text that cannot end a comment."""
    return "".join(c if c.isprintable() else " " for c in text).replace("*/", "* /")
