"""Structure that was planted is found, and random matrices have none."""

import numpy as np
import pytest
from tests.inspection.planted import PLANTED, noisy, symmetrised, unstructured

import tpc
from tpc.ir.facts import satisfies
from tpc.ir.node import Fact

TIMES = -(-500 // len(PLANTED))  # 500 in all


@pytest.mark.parametrize("name", PLANTED)
def test_planted(name: str) -> None:
    wanted, make = PLANTED[name]
    random = np.random.default_rng(list(PLANTED).index(name))
    for _ in range(TIMES):
        A = symmetrised(wanted, noisy(make(random), random))
        found = tpc.inspect(A)
        assert wanted in found, f"{A.shape}: {[f.name for f in found.findings]}"
        for finding in found.findings:
            assert finding.error <= found.tolerance, finding.name
            whole = finding.dense()
            assert (whole is None) == (not finding.parts)
            if whole is not None:
                assert np.linalg.norm(A - whole) <= (finding.error * 1.001 + 1e-14) * np.linalg.norm(A), finding.name
            for fact in finding.facts:  # what is to be declared is what `--check-facts` accepts
                assert satisfies(np, A, fact, found.tolerance) is None, (finding.name, fact)


def test_unstructured() -> None:
    random = np.random.default_rng(0)
    for number in range(500):
        A = unstructured(random)
        found = tpc.inspect(A)
        assert not found.findings, (number, A.shape, [f.name for f in found.findings])


def test_wrong_structure_is_noticed() -> None:
    """The tests above can fail: a matrix just outside of the tolerance has no structure, nor other facts."""
    random = np.random.default_rng(1)
    A = np.kron(random.standard_normal((8, 8)), random.standard_normal((8, 8)))
    A += 1e-7 * np.linalg.norm(A) / 64 * random.standard_normal(A.shape)
    assert not tpc.inspect(A).findings
    assert "kronecker product" in tpc.inspect(A, tolerance=1e-6)
    assert satisfies(np, A, Fact("toeplitz")) is not None
