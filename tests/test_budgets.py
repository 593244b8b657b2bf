"""scripts/budgets.toml: how its figures fall, and what a raise has to say."""

import re
from pathlib import Path

import pytest

from scripts import budgets, scatter
from scripts.budgets import PRODUCT, Budget, Raise, over_budget, read_budgets
from tests.tables import each_row

WHY = "A dub keeps the pauses of its film."
RAISE = Raise(120, WHY, "dubs: pauses stay", "0.2.0")
SUBJECT, BODY = (
    RAISE.commit,
    f"Viewers saw mouths that stood still.\n{WHY.replace(' the ', ' the' + chr(10))}",
)
OF_NOW = budgets.FILE.read_text()


def test_the_product_may_only_fall() -> None:
    """Version 0.2.0 adds no behaviour. A later version may raise it as any other part."""
    found = read_budgets(OF_NOW)
    assert not [*over_budget({PRODUCT: found[PRODUCT]}, {PRODUCT: budgets.sum_of_budgets(found)})]
    assert not [each for each in found[PRODUCT].raised if each.version == "0.2.0"]


def test_a_raise_has_a_reason_of_its_own_and_a_version() -> None:
    raised = [each for budget in read_budgets(OF_NOW).values() for each in budget.raised]
    reasons = [" ".join(each.why.lower().split()) for each in raised]
    assert len({*reasons}) == len(reasons)
    changelog = (budgets.FILE.parents[1] / "CHANGELOG.md").read_text()
    versions = {*re.findall(r"^## (\d+\.\d+\.\d+)", changelog, re.MULTILINE)}
    assert not [each for each in raised if each.lines <= 0 or each.version not in versions]


@each_row(
    ("lines", "fault"),
    [
        (100, ""),
        (0, ""),
        (
            101,
            "core has 101 lines, its budget is 100: take lines away, or raise it in scripts/budgets.toml by",
        ),
    ],
)
def test_a_part_above_its_budget_says_which_file_to_edit(lines: int, fault: str) -> None:
    found = [*over_budget({"core": Budget(100)}, {"core": lines})]
    assert [each[: len(fault)] for each in found] == ([fault] if fault else [])


def test_a_part_far_below_its_budget_or_gone_says_how_to_lower_it() -> None:
    known = {"core": Budget(101), "gone": Budget(10)}
    assert [*over_budget(known, {"core": 0})] == [
        f"{name} has 0 lines, its budget in scripts/budgets.toml is {most}: "
        "lower it by python -m scripts.scatter --save"
        for name, most in (("core", 101), ("gone", 10))
    ]
    assert not [*over_budget(known, {"core": 1, "gone": 0})]


def test_a_save_lowers_alone_and_keeps_reasons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "budgets.toml"
    known = {"core": Budget(900), "features/dubs": Budget(2000, (RAISE,)), "gone": Budget(5)}
    file.write_text(budgets.toml_of({**known, PRODUCT: Budget(9000)}, "# How\n\n"))
    assert read_budgets(file.read_text()) == {**known, PRODUCT: Budget(9000)}
    lines = {"core": 951, "features/dubs": 1851, "features/new": 11, "tests": 1201}
    monkeypatch.setattr(scatter, "lines_of_parts", lambda: lines)
    scatter.save(file)
    assert file.read_text().startswith("# How\n\nproduct.lines = 2800\ncore.lines = 900\n")
    assert read_budgets(file.read_text()) == {
        "core": Budget(900),
        "features/dubs": Budget(1860, (RAISE,)),
        "features/new": Budget(20),
        "tests": Budget(1300),
        PRODUCT: Budget(2800),
    }
    scatter.save(file, is_anew=True)
    assert read_budgets(file.read_text())["core"] == Budget(960)
    found = read_budgets(file.read_text())
    assert not [*over_budget(found, {**lines, PRODUCT: budgets.sum_of_budgets(found)})]


@each_row(
    ("before", "after", "body", "moved_to", "fault"),
    [
        ({"core": 100}, {"core": 90}, "", [], ""),
        ({"core": 100}, {"core": 101}, "", [], "no new entry of `raised` explains 1 lines more of core"),
        ({"bench": 100}, {"bench": 200}, "", [], "no new entry of `raised` explains 100 lines more of bench"),
        ({}, {"features/dubs": 9}, "", [], "no new entry of `raised` explains 9 lines more of features/dubs"),
        ({}, {"features/dubs": (120, RAISE)}, BODY, [], ""),
        ({"features/dubs": 10}, {"features/dubs": (131, RAISE)}, BODY, [], "explains 1 lines more"),
        (
            {"features/dubs": (10, RAISE)},
            {"features/dubs": (130, RAISE)},
            BODY,
            [],
            "explains 120 lines more",
        ),
        ({}, {"features/dubs": (120, RAISE)}, "Pauses stay.", [], f"in its words: {WHY}"),
        ({}, {"bench": (120, RAISE._replace(commit="x: y"))}, BODY, [], f"subject of this one: {SUBJECT}"),
        ({"core": 200}, {"core": 90, "features/dubs": 110}, "", ["proxy/features/dubs/a.py"], ""),
        ({"core": 200}, {"core": 90, "features/dubs": 110}, "", ["proxy/http/a.py"], "explains 110 lines"),
        (
            {"core": 200, "tests": 900},
            {"core": 90, "tests": 10, "proxy/hosts": 111},
            "",
            ["proxy/hosts/a.py"],
            "proxy/hosts grow by 111 lines, more than the 110 that other parts lose",
        ),
    ],
)
def test_what_grows_has_an_entry_whose_reason_is_in_the_body(
    before: dict[str, object], after: dict[str, object], body: str, moved_to: list[str], fault: str
) -> None:
    known, now = ({name: _budget(each) for name, each in parts.items()} for parts in (before, after))
    found = [*budgets.unexplained(known, now, SUBJECT, body, moved_to)]
    assert [fault in each for each in found] == ([True] if fault else []), found


def _budget(value: object) -> Budget:
    return Budget(value[0], (value[1],)) if isinstance(value, tuple) else Budget(int(str(value)))


def test_raises_are_shown_by_version_the_newest_first() -> None:
    older = RAISE._replace(lines=30, why="Books have covers.", version="0.2.0")
    newer = RAISE._replace(lines=7, why="Voices have names.", version="0.10.0")
    shown = budgets.raises_by_version(
        {"features/books": Budget(1, (older, newer)), "features/dubs": Budget(1, (RAISE,))}
    )
    assert [" ".join(line.split()) for line in shown.splitlines()] == [
        "raised in 0.10.0: 7 lines",
        "features/books 7 Voices have names.",
        "raised in 0.2.0: 150 lines",
        "features/books 30 Books have covers.",
        f"features/dubs 120 {WHY}",
    ]
