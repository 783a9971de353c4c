"""`tpc new`"""

from __future__ import annotations

import random
import re
from pathlib import Path

import click

from tpc.console import talk
from tpc.dsl.diagnostics import fail

PROGRAM = """\
# {name}.tp: what do area, rooms and age say of the price of a house? (ridge regression)
#
#   tpc run {name}.tp                  run `main`, on the data named here
#   tpc explain {name}.tp              see what is done, and what it costs
#   tpc run {name}.tp -f ridge X=houses.csv:area,rooms,age y=houses.csv:price penalty=1

const houses: f64[24, 3] = load("houses.csv:area,rooms,age")
const price: f64[24] = load("houses.csv:price")

# n houses, m things known of each. `'` transposes, `@` multiplies matrices, `A \\ b` solves A x = b.
def ridge(X: f64[n, m], y: f64[n], penalty: f64 = 0.1) -> f64[m]:
    return (X' @ X + penalty * eye(m)) \\ (X' @ y)

def main() -> f64[3]:
    weights = ridge(houses, price)
    return weights
"""


@click.command("new")
@click.argument("name")
def command(name: str) -> int:
    """Make a folder NAME with a commented program and made-up data, ready to run."""
    folder = Path(name)
    if not re.fullmatch(r"[\w-]{1,60}", folder.name):
        raise fail("E1004", f"`{name[:60]}` is no name for a folder", help="use letters, digits, `_` and `-`")
    try:
        folder.mkdir()
    except FileExistsError:
        raise fail("E0712", f"`{name}` is already there", help="choose another name") from None
    except OSError as error:
        raise fail("E0712", f"`{name}` cannot be made: {(error.strerror or '').lower()}") from None
    from tpc.results import write_text

    write_text(folder / f"{folder.name}.tp", PROGRAM.format(name=folder.name))
    write_text(folder / "houses.csv", _houses())
    talk(f"made {name}; now try:\n\n  cd {name}\n  tpc run {folder.name}.tp")
    return 0


def _houses() -> str:
    """Made-up houses: 2500 for a square metre, 9000 a room, 400 less for each year, and chance."""
    chance = random.Random(24)
    rows = ["area,rooms,age,price"]
    for _ in range(24):
        area, rooms, age = chance.randint(45, 220), chance.randint(2, 7), chance.randint(0, 60)
        price = 2500 * area + 9000 * rooms - 400 * age + chance.gauss(0, 8000)
        rows.append(f"{area},{rooms},{age},{price:.0f}")
    return "\n".join(rows) + "\n"
