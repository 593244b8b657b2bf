"""How far a feature reaches outside of its folder, as `scripts/scatter.py` counts it."""

from functools import cache
from pathlib import Path
from typing import Any

from scripts import scatter
from scripts.budgets import FILE, PRODUCT, over_budget, read_budgets, sum_of_lines
from tests.tables import each_row

ROOT = Path(__file__).parents[1]
SCATTER = vars(scatter)


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


def test_the_core_is_what_servers_and_workers_import() -> None:
    assert set(SCATTER["CORE"]) <= SCATTER["core"]().keys()


def test_each_part_has_no_more_lines_than_its_budget_and_hardly_less() -> None:
    parts = SCATTER["lines_of_parts"]()
    assert parts.keys() >= {
        "core",
        "speech_engine",
        "features/jobs/core",
        "plugins/tone",
        "mutations",
        "tests",
    }
    budgets = read_budgets(FILE.read_text())
    del budgets[PRODUCT]
    assert not [*over_budget(budgets, parts)]


def test_a_file_of_the_product_is_in_one_part() -> None:
    files = [
        file
        for room in ("proxy", "policies", "speech_engine", "plugins")
        for file in ROOT.glob(f"{room}/**/*.py")
    ]
    assert sum_of_lines(SCATTER["lines_of_parts"]()) == sum(file.read_text().count("\n") for file in files)


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


def test_the_map_has_the_rooms_of_the_core_and_what_each_is() -> None:
    inside, _, outside = scatter.core_map().partition("\n\n")
    rows = [line.strip("| ").split(" | ") for line in inside.splitlines()[2:]]
    assert sum(int(files) for _, files, *_ in rows) >= len(scatter.core()) - 5, "small rooms have no row"
    assert all(len(row) == 4 and row[3].endswith(".") for row in rows)
    assert "| proxy/hosts |" in outside
    assert "proxy/features" not in inside
    sentences = [line.rsplit("|", 2)[1] for line in [*inside.splitlines()[2:], *outside.splitlines()[2:]]]
    rest = " Files that the core does not import. "
    assert len({each for each in sentences if each != rest}) == len(sentences) - sentences.count(rest)
    assert sentences[-1] == rest, "the rests of the core's rooms come last"
