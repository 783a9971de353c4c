"""Sparse plans whatever they cost, so that small matrices do."""

import pytest

import tpc.passes.sparse


@pytest.fixture
def always_sparse(monkeypatch):
    """No plan is cheaper than the one in which all stays sparse that can."""
    monkeypatch.setattr(tpc.passes.sparse, "predicted", lambda *_: 0.0)
    monkeypatch.setenv("TPC_CACHE", "off")
