"""tests/README.md, "Helpers": every helper has its row, and every row its helper."""

import re
from pathlib import Path

from tests.suite.folders import TESTS

_FOREIGN = ("clients/environments/", "clients/programs/")
"""Programs and pins of the clients: no test imports them."""


def _rows() -> list[str]:
    text = (TESTS / "README.md").read_text().partition("## Helpers")[2]
    return [
        path for cell in re.findall(r"^\| (`.+?) \|", text, re.M) for path in re.findall(r"`(.+?)`", cell)
    ]


def _is_helper(path: Path) -> bool:
    inside = path.relative_to(TESTS).as_posix()
    return not path.name.startswith(("test_", "conftest", "__init__")) and not inside.startswith(_FOREIGN)


def test_each_row_names_what_is_there() -> None:
    assert [row for row in _rows() if not any(TESTS.glob(row))] == []


def test_each_helper_has_a_row() -> None:
    listed = {path for row in _rows() for path in TESTS.glob(row)}
    helpers = {path for path in TESTS.rglob("*.py") if _is_helper(path)}
    assert sorted(str(path.relative_to(TESTS)) for path in helpers - listed) == []
