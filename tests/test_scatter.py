"""How far a feature reaches outside of its folder, as `scripts/scatter.py` counts it."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from tests.tables import each_row

SCATTER = runpy.run_path(str(Path(__file__).parents[1] / "scripts" / "scatter.py"))
REACHES: dict[str, Any] = {reach.feature: reach for reach in SCATTER["reaches"]()}


def test_who_says_what_it_owns_is_a_feature() -> None:
    assert REACHES.keys() >= SCATTER["NAMES"].keys()
    assert not [name for name, reach in REACHES.items() if len(reach.own) < 3]


@each_row("name", REACHES)
def test_a_feature_is_imported_by_the_list_and_by_features_alone(name: str) -> None:
    """The order of features is a contract of import-linter, in pyproject.toml."""
    assert not [each for each in REACHES[name].importing if not each.startswith("proxy/features/")]


@each_row("name", REACHES)
def test_what_a_feature_owns_is_named_in_few_files(name: str) -> None:
    assert len(REACHES[name].naming) <= 3, REACHES[name].naming


MOST_LINES = 3_000
LARGE = {
    "marks": (5_784, "C2PA's manifests take 2,000 lines, and two plugins hide and find the marks"),
    "models": (4_680, "it pulls, imports and cuts models, and reads strangers' files without libraries"),
    "own_voices": (3_907, "recordings, library voices and trained files have one owner and one end"),
    "payments": (3_500, "orders, months and their books, and the wire forms of two providers"),
    "jobs/remote": (3_930, "a provider's plugin and the process on the rented machine belong to it"),
}
"""Features above the limit: the most lines each may have, and why it is so large. None may grow."""


@each_row("name", sorted(SCATTER["sizes"]()))
def test_a_feature_has_three_thousand_lines_at_most_with_what_serves_it_alone(name: str) -> None:
    most, _ = LARGE.get(name, (MOST_LINES, ""))
    assert SCATTER["sizes"]()[name] <= most


@each_row(
    ("name", "code", "is_named"),
    [
        ("consents", 'SQL = "SELECT 1 FROM consents"', True),
        ("consents", 'SQL = "SELECT 1 FROM consents_of_old"', False),
        ("consents", 'path = "/admin/consents/{id}"', True),
        ("consents", "found = house.config.consent.operator", True),
        ("consents", 'fault = "[consent]: no such key"', True),
        ("consents", "found = self._config.consent", True),
        ("cache", 'found = config.features["cache"]', True),
        ("cache", "found = terms.cache", False),
        ("consents", "consents = receipt.consent", False),
        ("cache", 'NAME = "voxgate_cache_lookups_total"', True),
        ("cache", '"""What voxgate_cache_lookups_total counts."""', False),
        ("lexicons", 'message = "the words of lexicons"', False),
    ],
)
def test_tables_sections_metrics_and_paths_are_named_and_words_are_not(
    name: str, code: str, is_named: bool, tmp_path: Path
) -> None:
    (tmp_path / "outside.py").write_text(code)
    own = REACHES[name].own
    feature = next(each for each in SCATTER["all_features"]() if each.name == name)
    assert SCATTER["is_named"](str(tmp_path / "outside.py"), feature, own) == is_named
