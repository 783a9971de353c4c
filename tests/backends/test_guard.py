"""Generated source is checked before it is run: what it may not hold, and what users cannot smuggle into it."""

from __future__ import annotations

import ast
import builtins
import keyword

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tpc.backends import backend, guard
from tpc.backends.contract import Emitted
from tpc.backends.names import Names, spelled
from tpc.dsl.diagnostics import InternalError
from tpc.ir.build import input_node, make
from tpc.ir.dims import named
from tpc.ir.node import Node, Program
from tpc.ir.ops.structure import CONSTANT, ConstantData
from tpc.ir.types import F64, TensorType

HERE = "import numpy as np\nimport pathlib\nHERE = pathlib.Path(__file__).parent\n"

MALICIOUS = [
    "import os",
    "import os as np",
    "import numpy as os\nos.system",
    "from os import system",
    "from numpy import *",
    "def f(x):\n    return __import__('os').system('id')",
    "def f(x):\n    return eval('1')",
    "def f(x):\n    return exec('1')",
    "def f(x):\n    return open('/etc/passwd')",
    "def f(x):\n    return getattr(x, 'a')",
    "def f(x):\n    return x.__class__",
    "def f(x):\n    return ().__class__.__bases__",
    "def f(x):\n    return f.__globals__",
    "def f(x):\n    return globals()",
    "import numpy as np\ndef f(x):\n    return np.fromfile('x')",
    "import numpy as np\ndef f(x):\n    return np.load('x', allow_pickle=True)",
    "import numpy as np\ndef f(x):\n    return np.load('x', allow_pickle=False)",
    "import numpy as np\nW = np.load('x', allow_pickle=False)",
    HERE + "W = np.load(HERE / 'x', allow_pickle=True)",
    HERE + "W = np.load(HERE / '../x', allow_pickle=False)",
    HERE + "W = np.load(HERE / '/x', allow_pickle=False)",
    "import pathlib\ndef f(x):\n    return pathlib.Path('x').read_text()",
    "import pathlib\nHERE = pathlib.Path('/etc').parent",
    "import torch\ndef f(x):\n    return torch.load('x')",
    "import torch\ndef f(x):\n    return torch.ops.x(x)",
    "import numpy as np\ndef f(x):\n    return np.lib.format.read_array(x)",
    "import numpy as np\ndef f(x):\n    return np.ctypeslib.load_library('c', '.')",
    "import scipy.io",
    "import subprocess",
    "class A:\n    pass",
    "def f(x):\n    global y\n    y = x",
    "async def f(x):\n    await x",
    "def f(x):\n    yield x",
    "def f(x):\n    while True:\n        pass",
    "def f(x):\n    del x.T",
    "def f(x):\n    del x[0]",
    "def f(x):\n    del np",
    "def f(x):\n    assert x",
    "@eval\ndef f(x):\n    return x",
    "def f(x):\n    x.shape = 1",
    "def f(x):\n    return f'{x:{x}}'",
    "def f(x):\n    return '{0.__class__}'.format(x)",
    "def f(x):\n    return (lambda y: y)(x)",
    "def f(x):\n    return {}",
    "def f(x):\n    return b'x'",
    "def f(np):\n    return np",
    "def range(x):\n    return x",
    "def __getattr__(x):\n    return x",
    "def f(x):\n    (y := x)\n    return y",
    "def f(x):\n    return undefined",
    "def f(x:",
    "def f(x):\n    return \0",
]


@pytest.mark.parametrize("source", MALICIOUS)
def test_refused(source: str) -> None:
    with pytest.raises(InternalError):
        guard.check(source)


def test_harmless_source_passes() -> None:
    """The guard can say yes."""
    source = (
        "import pathlib\nimport numpy as np\nHERE = pathlib.Path(__file__).parent\n"
        "W = np.load(HERE / 'w.npy', allow_pickle=False)\ndef f(x):\n    return np.exp(x) + W\n"
    )
    tree = guard.check(source)
    assert guard.namespace(tree, {"np": np}, {"W": 1.0})["f"](0.0) == 2.0


def test_load_refuses() -> None:
    for name in ("numpy", "torch"):
        with pytest.raises(InternalError):
            backend(name).load(Emitted("def f(x):\n    return open(x)", "f", ("x",)))


@given(st.text())
def test_names_are_identifiers(text: str) -> None:
    name = spelled(text)
    assert name.isascii() and name.isidentifier() and not keyword.iskeyword(name)
    assert not hasattr(builtins, name) and name not in ("np", "torch", "scipy") and "__" not in name
    assert not name.startswith("_")


@given(st.lists(st.text(max_size=4)))
def test_names_are_given_once(texts: list[str]) -> None:
    names = Names()
    made = [names.fresh(text) for text in texts]
    assert len(set(made)) == len(made)


def test_greek_letters_have_names() -> None:
    assert spelled("α") == "alpha" and spelled("Σ2") == "sigma2" and spelled("é") == "e"


HOSTILE = [
    "__import__('os')",
    "x\n    import os",
    'a"""',
    "a'b",
    "lambda",
    "print",
    "np",
    "_inv",
    "\u202e",
    "x; y",
    "",
    "1",
    "a\\",
]


@pytest.mark.parametrize("backend_name", ["numpy", "torch"])
def test_hostile_names_reach_nothing(backend_name: str) -> None:
    """Names of inputs, values, sizes, functions, results and files come out as plain identifiers or as text."""
    for text in HOSTILE:
        size = named(text or "n")
        type = TensorType(F64, [size, size])
        data = ConstantData(f"{text}/w.npy", "0", np.zeros((9, 9)))
        constant = Node(CONSTANT, (), (("name", text), ("data", data)), TensorType(F64, (9, 9)))
        first, second = input_node(text, type), input_node("x", type)
        inverse = make("inv", (first,))
        total = make("add", (make("matmul", (inverse, second)), make("sum", (constant,), axis=None, keepdims=False)))
        program = Program(text, (first, second), (total,), (text,))
        chosen = backend(backend_name)
        emitted = chosen.emit(program, {inverse: text, constant: text})
        chosen.load(emitted)
        known = {n.id for n in ast.walk(ast.parse(emitted.source)) if isinstance(n, ast.Name)}
        assert all(name.isascii() for name in known)
        assert "os" not in known and "import os" not in emitted.source.splitlines()
