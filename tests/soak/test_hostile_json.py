"""Each shape of hostile JSON in each field of each endpoint."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.access.admission import MOST_A_MINUTE
from tests.proxy.http.test_hostile_json import all_cost_little, jobs_cost_little


async def test_each_shape_in_each_field_costs_little(
    tmp_path: Path, subtests: pytest.Subtests, monkeypatch: pytest.MonkeyPatch
) -> None:
    for class_ in MOST_A_MINUTE:
        monkeypatch.setitem(MOST_A_MINUTE, class_, 10**6)
    for number, each in enumerate((jobs_cost_little, all_cost_little)):
        folder = tmp_path / str(number)
        folder.mkdir()
        await each(folder, subtests, every=True)
