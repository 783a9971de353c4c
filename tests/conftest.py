"""Options of the test run."""

import os

import pytest

os.environ["TPC_CACHE"] = "off"  # what is tested is compiled; tests of the cache name a folder of their own


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-docs", action="store_true", help="rewrite what the pages of docs/ show by what comes out"
    )
    parser.addoption(
        "--update-golden", action="store_true", help="rewrite the outputs in tests/golden by what comes out"
    )


@pytest.fixture
def update_docs(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-docs"))


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))
