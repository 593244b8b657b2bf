"""The whole table of what is marked: each row in each shape and each format."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from tests.features.marks.test_marking_table import FORMATS, SHAPES, TABLE, Row, name
from tests.features.marks.test_marking_table import (
    test_an_answer_is_marked_where_it_is_due_and_nowhere_else as assert_marked,
)


@pytest.mark.parametrize("row", TABLE, ids=name)
async def test_an_answer_is_marked_where_it_is_due_and_nowhere_else(tmp_path: Path, row: Row) -> None:
    await assert_marked(tmp_path, row, list(product(SHAPES, FORMATS)))
