"""LLVM IR to object code, once: what was made is kept in the cache on disk.

An object is found by a digest of all that it depends on: the text, the processor, LLVM, and the binary interface. In
its file a digest of the content comes first; what is damaged, cut off or of another origin is made anew.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

from tpc.backends import store
from tpc.backends.llvm.host import host

ABI = 1  # raised when the same text means something else
READY = ".ready"  # ends the name of a function that has no loops to unroll, nor stores to move out of them
LEVEL = 2  # of optimisation; one more takes a fifth longer, and gains nothing where loops are in their form already


def compiled(text: str, level: int = LEVEL) -> bytes:
    """A module of LLVM IR as an object file for this machine.

    Raises
    ------
    RuntimeError
        If the text is not valid.
    """
    key = digest(text, level)
    name = f"{key}{store.OBJECT}"
    try:
        return _checked(store.read(name), key)
    except (OSError, ValueError):
        made: bytes = host().machine(level).emit_object(optimised(text, level))
        store.write(name, _seal(made, key) + made)
        return made


def optimised(text: str, level: int = LEVEL) -> Any:
    """LLVM IR as a module of llvmlite, optimised for this machine. Raises RuntimeError if it is not valid."""
    import llvmlite.binding as llvm

    module = llvm.parse_assembly(text)
    machine = host().machine(level)
    module.triple = machine.triple
    module.data_layout = str(machine.target_data)
    return optimise(module, level)


def optimise(module: Any, level: int = LEVEL) -> Any:
    """A module of llvmlite for this machine, verified and optimised in place. Raises RuntimeError.

    Functions are simplified one by one. Loops come with the vectors, accumulators and tiles that they are to have: what
    LLVM adds with its passes over modules (vectorising, unrolling, inlining) takes as long again, and spills registers.
    What is `READY` is made simple without the passes over loops and the numbering of values, in a quarter of the time.
    """
    import llvmlite.binding as llvm

    module.verify()
    if level > 0:
        builder = llvm.create_pass_builder(host().machine(level), llvm.create_pipeline_tuning_options(level))
        inlining = llvm.create_new_module_pass_manager()
        inlining.add_always_inliner_pass()
        inlining.run(module, builder)
        passes, few = builder.getFunctionPassManager(), llvm.create_new_function_pass_manager()
        few.add_sroa_pass()
        few.add_simplify_cfg_pass()
        few.add_instruction_combine_pass()
        few.add_dead_store_elimination_pass()
        few.add_simplify_cfg_pass()
        for function in module.functions:
            if not function.is_declaration:
                (few if function.name.endswith(READY) else passes).run(function, builder)
    return module


def digest(text: str, level: int = LEVEL) -> str:
    """What tells the object of a text from all others."""
    import llvmlite
    import llvmlite.binding as llvm

    at = host()
    known = ABI, level, llvmlite.__version__, llvm.llvm_version_info, at.triple, at.cpu, at.features
    return _digest("\0".join(map(str, known)), text)


@lru_cache(64)
def _digest(known: str, text: str) -> str:
    return hashlib.sha256(f"{known}\0{text}".encode()).hexdigest()


def _checked(content: bytes, key: str) -> bytes:
    """The object in a file. Raises ValueError where it is damaged, or is not of this key."""
    size = hashlib.sha256().digest_size
    seal, made = content[:size], content[size:]
    if seal != _seal(made, key):
        raise ValueError("damaged")
    return made


def _seal(made: bytes, key: str) -> bytes:
    return hashlib.sha256(key.encode() + made).digest()
