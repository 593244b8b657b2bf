"""The tests of the console run nearly all of its functions, as the browser counts them."""

from pathlib import Path

import pytest

from tests.features.console.reached import functions_reached


@pytest.mark.soak
def test_nine_of_ten_functions_are_reached(tmp_path: Path) -> None:
    count, missed = functions_reached(tmp_path, "-m", "not soak")
    assert count > 400
    assert len(missed) <= count / 10, missed
    assert not [each for each in missed if each.endswith("never loaded")]
