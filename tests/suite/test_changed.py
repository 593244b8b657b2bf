"""`make changed`: a change selects the tests that notice it."""

import tomllib
from pathlib import Path

import pytest

from scripts.changed import all_tests, reached, reached_by_rules
from tests.tables import each_row

LISTS = Path(__file__).parents[2] / "scripts" / "mutations"
MOST_MISSED = 31
"""Mutants whose killer no rule reaches: their lists alone name it. Six are of the seam of checked speech.
Twelve are of a feature that a server hands to another one without an import, as recognition to jobs. One is
of limits in Redis, which the core opens by a name."""


@each_row(
    ("file", "has", "lacks"),
    [
        (
            "proxy/features/mail/smtp.py",
            "tests/features/users/test_hostile.py",
            "tests/features/cache/test_rules.py",
        ),
        ("proxy/features/lexicons/records.py", "tests/proxy/test_core.py", "tests/proxy/ledger/test_hold.py"),
        ("proxy/ledger/hold.py", "tests/proxy/ledger/test_hold.py", "tests/plugins/rvc/test_plugin.py"),
        ("docs/jobs.md", "tests/docs/test_reload.py", "tests/proxy/ledger/test_hold.py"),
        ("tests/suite/held.py", "tests/features/users/test_hostile.py", "tests/policies/test_price.py"),
    ],
)
def test_a_change_selects_what_it_reaches_and_no_more(file: str, has: str, lacks: str) -> None:
    found = reached([file])
    assert has in found
    assert lacks not in found
    assert len(found) < len(all_tests())


@pytest.mark.slow
def test_it_selects_the_killer_of_each_listed_mutant() -> None:
    by_rules: dict[str, set[str]] = {}
    missed = []
    for topic in sorted(LISTS.glob("*.toml")):
        for mutant in tomllib.loads(topic.read_text())["mutant"]:
            path = mutant["path"]
            if path not in by_rules:
                by_rules[path] = {*reached_by_rules(path)}
            files = {test.partition("::")[0] for test in mutant["tests"]}
            killers = {file for file in files if file.endswith(".py")}
            assert killers <= reached([path])
            if not mutant.get("survives") and killers - by_rules[path]:
                missed.append((path, killers))
    assert len(missed) <= MOST_MISSED, missed
