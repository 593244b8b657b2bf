"""What people write down: forms for faults, wishes and changes, and the pages about them."""

import re
from typing import Any

import yaml

from tests.docs.pages import ROOT, name
from tests.tables import each_row

_FORMS = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"))
MOST_LETTERS = 200


def test_there_is_a_form_for_a_fault_and_a_wish() -> None:
    assert [form.stem for form in _FORMS] == ["fault", "wish"]
    fault = yaml.safe_load(_FORMS[0].read_text())
    assert {"version", "doctor", "request"} <= {each.get("id") for each in fault["body"]}
    assert "Leave out keys, texts" in fault["body"][0]["attributes"]["value"]


@each_row("form", _FORMS, ids=name)
def test_a_form_is_one_that_github_shows(form: Any) -> None:
    read = yaml.safe_load(form.read_text())
    assert read.keys() <= {"name", "description", "labels", "body"}
    ids = [each["id"] for each in read["body"] if each["type"] != "markdown"]
    assert len({*ids}) == len(ids)
    for each in read["body"]:
        assert each.keys() <= {"type", "id", "attributes", "validations"}
        wanted = {"markdown": {"value"}, "input": {"label", "description"}}
        known = wanted.get(each["type"], {"label", "description", "render"})
        assert each["attributes"].keys() <= known
        assert each["type"] == "markdown" or each["attributes"]["label"]


def test_a_pull_request_asks_for_four_lines() -> None:
    lines = (ROOT / ".github/pull_request_template.md").read_text().splitlines()
    assert len(lines) == 4
    assert all(line.endswith(":") for line in lines)


def test_contributing_is_read_in_minutes_and_begins_with_how_to_send_a_change() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    assert len(text.split()) <= 900
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings[:2] == ["Send a change", "The smallest first change"]


def test_pre_commit_formats_with_the_locked_ruff() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    (ruff,) = [each for each in config["repos"] if each["repo"].endswith("/ruff-pre-commit")]
    locked = re.search(r"^ruff==(\S+)", (ROOT / "locks/test.txt").read_text(), re.MULTILINE)
    assert locked
    assert ruff["rev"] == f"v{locked[1]}"


def test_a_change_is_said_in_a_line() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert re.search(r"^## \S+ \(unreleased\)$", text, re.MULTILINE)
    assert not [line for line in text.splitlines() if len(line) > MOST_LETTERS]


def test_a_version_that_is_cut_is_ten_lines_and_its_history_is_whole() -> None:
    _, *versions = re.split(r"^## ", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    for text in versions[1:]:
        assert re.match(r"\d+\.\d+\.\d+ \(\d{4}-\d\d-\d\d\)\n", text)
        assert len(re.findall(r"^- ", text, re.MULTILINE)) == 10
        assert f"(docs/history/{text.split()[0]}.md)" in text


def test_what_a_former_version_changed_is_in_no_index() -> None:
    """`docs/history` has it in full: nobody reads it by chance, and its words are not counted."""
    indexes = (ROOT / "docs/index.md", ROOT / "llms.txt")
    assert not [name(page) for page in indexes if "history/" in page.read_text()]
