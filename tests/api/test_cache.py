"""The cache on disk: a program is compiled once, and nothing that is damaged or foreign is run."""

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import tpc
from tpc import cache
from tpc.backends import store
from tpc.cli import cli

CHAIN = "def f(A: f64[n, m], B: f64[m, k], C: f64[k, p]) -> f64[n, p] where n > 1 = A @ B @ C\n"
A, B, C = (np.random.default_rng(k).standard_normal((6, 6)) for k in range(3))


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TPC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TPC_OPTIMISE", "1")
    return tmp_path / "cache"


class Counts:
    """How often programs were searched for plans, and read."""

    def __init__(self) -> None:
        self.searches = self.readings = 0


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counts]:
    import tpc.api
    import tpc.passes.variants

    found = Counts()
    variants, check = tpc.passes.variants.variants, tpc.api.check

    def searching(*arguments: Any, **options: Any) -> Any:
        found.searches += 1
        return variants(*arguments, **options)

    def reading(*arguments: Any) -> Any:
        found.readings += 1
        return check(*arguments)

    monkeypatch.setattr("tpc.passes.variants.variants", searching)
    monkeypatch.setattr("tpc.api.check", reading)
    yield found


def run(text: str = CHAIN, **options: Any) -> Any:
    return tpc.compile(text, **options)(A, B, C)


def entries(place: Path) -> list[Path]:
    return sorted(place.glob("*.json"))


def code_entry(place: Path) -> Path:
    return next(path for path in entries(place) if "source" in json.loads(path.read_text())["body"])


def rewrite(path: Path, change: Any) -> None:
    """Change what an entry holds, with a digest that fits."""
    entry = json.loads(path.read_text())
    change(entry["body"])
    entry["digest"] = cache._digest(entry["body"])
    path.write_text(json.dumps(entry))


# ---- what is kept


def test_the_second_time_nothing_is_read_or_searched(counts: Counts, place: Path) -> None:
    first = run()
    assert (counts.searches, counts.readings) == (1, 1) and len(entries(place)) == 2
    second = run()
    assert (counts.searches, counts.readings) == (1, 1)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, A @ B @ C)


def test_no_recompilation_at_other_sizes(counts: Counts) -> None:
    f = tpc.compile(CHAIN)
    plans = set()
    for n, p in ((6, 1), (2, 6), (6, 6)):
        np.testing.assert_allclose(f(A[:n], B, C[:, :p]), A[:n] @ B @ C[:, :p])
        plans.add(f.plan.program)
    assert counts.searches == 1
    assert len(f.variants.plans) > 1 and plans <= {v.plan.program for v in f.variants.plans}
    assert "def f_1(" in f.source and "of sizes" in f.explain()


def test_what_a_kept_function_tells_of_itself(counts: Counts) -> None:
    run()
    f, g = tpc.compile(CHAIN), tpc.compile(CHAIN)
    f(A, B, C)
    assert counts.readings == 1
    assert repr(f) == "<tpc f(A: f64[n, m], B: f64[m, k], C: f64[k, p])>" and f.__doc__ == CHAIN.strip()
    assert f.program.outputs and f.plan.program.outputs and f.cost.flops and counts.readings == 2
    assert g.program is f.program


@pytest.mark.parametrize(
    "call",
    [
        lambda f: f(A[:1], B, C),
        lambda f: f(A, B[:2], C),
        lambda f: f(A, B),
        lambda f: f(A, B, C, k=3),
        lambda f: f(A, B[0], C),
    ],
    ids=["where", "shape", "missing", "a size", "rank"],
)
def test_messages_are_those_of_a_function_that_was_read(call: Any, counts: Counts) -> None:
    messages = []
    for _ in range(2):
        with pytest.raises(tpc.TpcError) as caught:
            call(tpc.compile(CHAIN))
        messages.append(str(caught.value))
        run()
    assert counts.readings == 2  # by the first call, and by the first run
    assert messages[0] == messages[1] and "error[E08" in messages[0]


def test_options_have_entries_of_their_own(counts: Counts) -> None:
    for options in ({}, {"mode": "bitwise"}, {"dims": {"n": 6}}, {"mode": "fast"}, {"threads": 1}):
        np.testing.assert_allclose(run(**options), A @ B @ C)  # type: ignore[arg-type]
    assert counts.searches == 5
    run(mode="bitwise")
    assert counts.searches == 5


def test_other_types_of_arguments_are_added(counts: Counts) -> None:
    text = "def f(A: [n, m], x: [m]) = A @ x\n"
    for _ in range(2):
        f = tpc.compile(text)
        f(A, A[0])
        f(A.astype("f4"), A[0].astype("f4"))
    assert (counts.searches, counts.readings) == (2, 1)


def test_facts_are_tested_on_a_kept_function() -> None:
    text = "def f(S: f64[n, n] is spd, x: f64[n]) -> f64[n] = inv(S) @ x\n"
    S = A @ A.T + np.eye(6)
    tpc.compile(text)(S, A[0])
    f = tpc.compile(text, check_facts=True)
    np.testing.assert_allclose(f(S, A[0]), np.linalg.solve(S, A[0]))
    with pytest.raises(tpc.TpcError, match="spd"):
        f(-S, A[0])


def test_sizes_prepared_for_stay(counts: Counts) -> None:
    f = tpc.compile(CHAIN).prepare(A, B, C)
    np.testing.assert_allclose(f(A, B, C), A @ B @ C)
    assert counts.searches == 1


def test_what_is_verified_is_compiled(counts: Counts) -> None:
    run()
    run(verify=True)
    assert counts.searches >= 2


def test_constants_are_read_again(tmp_path: Path, counts: Counts, place: Path) -> None:
    (tmp_path / "f.tp").write_text('const W: f64[3, 3] = load("w.npy")\ndef f(x: f64[3]) -> f64[3] = W @ x\n')
    for value in (1.0, 1.0, 2.0):
        np.save(tmp_path / "w.npy", np.full((3, 3), value))
        np.testing.assert_array_equal(tpc.compile(tmp_path / "f.tp")(np.ones(3)), [3 * value] * 3)
    assert counts.searches == 2 and counts.readings == 3
    assert all(len(path.read_text()) < 5000 for path in entries(place))


def test_torch_has_entries_too(counts: Counts) -> None:
    torch = pytest.importorskip("torch")
    tensors = [torch.from_numpy(x) for x in (A, B, C)]
    for _ in range(2):
        np.testing.assert_allclose(tpc.compile(CHAIN)(*tensors).numpy(), A @ B @ C)
    assert counts.searches == 1


def test_off(monkeypatch: pytest.MonkeyPatch, counts: Counts, place: Path) -> None:
    monkeypatch.setenv("TPC_CACHE", "off")
    run()
    run()
    assert counts.searches == 2 and not place.exists() and store.usage() == (0, 0) and store.clear() == (0, 0)


def test_another_state_of_tpc_makes_entries_foreign(monkeypatch: pytest.MonkeyPatch, counts: Counts) -> None:
    run()
    monkeypatch.setattr(store, "version", lambda: "another")
    run()
    assert counts.searches == 2


# ---- what is not run


def _dim(body: Any) -> None:
    body["seconds"][0][0][0] = [["n", "m"]]


DAMAGES: dict[str, Any] = {
    "a field too many": lambda body: body.update(more=1),
    "a field missing": lambda body: body.pop("peaks"),
    "no list": lambda body: body.update(peaks=3),
    "a size that is none": _dim,
    "a name that is none": lambda body: body.update(function="f(); g"),
    "a dunder name": lambda body: body.update(function="__import__"),
    "a constant that is not the program's": lambda body: body.update(constants={"W": ["0" * 64, "f64"]}),
    "one variant less": lambda body: body["seconds"].pop(),
    "another function": lambda body: body.update(function="g"),
    "source that is none": lambda body: body.update(source="def f(:"),
    "source that imports": lambda body: body.update(source="import os\ndef f(A, B, C):\n    return os.getcwd()\n"),
    "source that reads": lambda body: body.update(source="def f(A, B, C):\n    return open('/etc/passwd')\n"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_replaced(damage: str, counts: Counts, place: Path) -> None:
    run()
    path = code_entry(place)
    good = path.read_text()
    rewrite(path, DAMAGES[damage])
    np.testing.assert_allclose(run(), A @ B @ C)
    assert counts.searches == 2 and json.loads(path.read_text())["body"] == json.loads(good)["body"]


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[" * 100_000, b"\xff\xfe", b'{"key": 1, "digest": 2, "body": 3}', b"null"]
)
def test_files_that_are_no_entries(content: bytes, counts: Counts, place: Path) -> None:
    run()
    for path in entries(place):
        path.write_bytes(content)
    np.testing.assert_allclose(run(), A @ B @ C)
    assert counts.searches == 2 and counts.readings == 2


def test_a_change_without_its_digest_and_an_entry_under_another_name(counts: Counts, place: Path) -> None:
    run()
    path = code_entry(place)
    good = path.read_text()
    path.write_text(good.replace("A @ B", "A @ A"))
    run()
    assert counts.searches == 2
    run(mode="bitwise")
    (other,) = (p for p in entries(place) if p != path and "source" in json.loads(p.read_text())["body"])
    other.write_text(good)
    run(mode="bitwise")
    assert counts.searches == 4


def test_links_and_folders_are_no_entries(counts: Counts, place: Path, tmp_path: Path) -> None:
    run()
    path = code_entry(place)
    path.rename(tmp_path / "elsewhere.json")
    path.symlink_to(tmp_path / "elsewhere.json")
    run()
    assert counts.searches == 2 and not path.is_symlink()
    path.unlink()
    path.mkdir()
    np.testing.assert_allclose(run(), A @ B @ C)
    assert counts.searches == 3


def test_a_place_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TPC_CACHE", str(tmp_path / "file" / "cache"))
    np.testing.assert_allclose(run(), A @ B @ C)


# ---- size, and several at once


def test_the_entries_not_used_for_longest_go(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    run()
    first = entries(place)
    for path in first:
        os.utime(path, (1, 1))
    run(mode="bitwise")
    _, total = store.usage()
    monkeypatch.setattr(store, "MOST", total)
    run(mode="fast")
    assert store.usage()[1] <= total and not set(first) <= set(entries(place))
    np.testing.assert_allclose(run(), A @ B @ C)


def test_many_writers(place: Path) -> None:
    results: list[Any] = []
    barrier = threading.Barrier(4)

    def work() -> None:
        barrier.wait()
        results.append(run("def f(A: f64[n, m], B: f64[m, k], C: f64[k, p]) = A @ (B @ C)\n"))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4 and not list(place.glob("*.part"))
    for result in results:
        np.testing.assert_allclose(result, A @ B @ C)


def test_doctor_shows_the_cache(place: Path) -> None:
    run()
    shown = json.loads(CliRunner().invoke(cli, ["doctor", "--json"]).stdout)["cache"]
    assert shown["folder"] == str(place) and shown["files"] >= 2 and shown["bytes"] > 0
