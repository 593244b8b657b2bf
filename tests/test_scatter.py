"""How far a feature reaches outside of its folder, as `scripts/scatter.py` counts it."""

import runpy
from functools import cache
from pathlib import Path
from typing import Any

from tests.tables import each_row

SCATTER = runpy.run_path(str(Path(__file__).parents[1] / "scripts" / "scatter.py"))


@cache
def reaches() -> dict[str, Any]:
    """It takes seconds, so it waits until a test needs it."""
    return {reach.feature: reach for reach in SCATTER["reaches"]()}


def test_who_says_what_it_owns_is_a_feature() -> None:
    assert reaches().keys() >= SCATTER["SECTIONS"].keys()
    assert not [name for name, reach in reaches().items() if len(reach.own) < 3]


def test_a_feature_is_imported_by_the_list_and_by_features_alone() -> None:
    """The order of features is a contract of import-linter, in pyproject.toml."""
    importing = {(name, file) for name, reach in reaches().items() for file in reach.importing}
    assert not [each for each in importing if not each[1].startswith("proxy/features/")]


def test_what_a_feature_owns_is_named_in_few_files() -> None:
    # Refusals of routing lead to three endpoints of own voices, and clones have a path below theirs. Two
    # commands ask for jobs.
    most = {"own_voices": 5, "jobs": 4}
    naming = {name: reach.naming for name, reach in reaches().items()}
    assert not {name: files for name, files in naming.items() if len(files) > most.get(name, 3)}


def test_the_core_is_small() -> None:
    assert set(SCATTER["CORE"]) <= SCATTER["core"]().keys()
    assert sum(SCATTER["source_of"](file).count("\n") for file in SCATTER["core"]()) <= MOST_CORE_LINES


MOST_CORE_LINES = 53_180
"""Of them, 400 are the seam of checked speech, 320 accounts and credits as minutes, 750 WebSockets, 200 the
turns of refused jobs, 80 the end of streams whose key is refused, and 120 the silence of providers."""
MOST_LINES = 3_000
LARGE = {
    "marks": (5_990, "C2PA's manifests take 2,000 lines, and two plugins hide and find the marks"),
    "models": (4_930, "it pulls, imports and cuts models, and reads strangers' files without libraries"),
    "own_voices": (4_735, "recordings, their samples and words, and trained files have one owner and end"),
    "payments": (3_805, "orders, months and their books, and the wire forms of two providers"),
    "jobs/core": (4_310, "rows, steps, ends and files of all kinds, and clips that a later job takes over"),
    "jobs/remote": (3_930, "a provider's plugin and the process on the rented machine belong to it"),
}
"""Features above the limit: the most lines each may have, and why it is so large. None may grow."""


def test_a_feature_has_three_thousand_lines_at_most_with_what_serves_it_alone() -> None:
    most = {name: LARGE.get(name, (MOST_LINES, ""))[0] for name in SCATTER["sizes"]()}
    assert len(most) > 10
    assert not {name: lines for name, lines in SCATTER["sizes"]().items() if lines > most[name]}


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
    own = reaches()[name].own
    feature = next(each for each in SCATTER["all_features"]() if each.name == name)
    assert SCATTER["is_named"](str(tmp_path / "outside.py"), feature, own) == is_named
