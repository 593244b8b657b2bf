"""`voxgate features`, and the commands of features that are off."""

import json
from pathlib import Path

import pytest

from proxy.feature_list import FEATURES
from tests.commands import command
from tests.tables import each_row

OFF = ["marks", "jobs", "books", "dubs", "estimates", "cluster", "lexicons"]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "config.toml"
    file.write_text(f'[server]\ndata = "{tmp_path}/data"\n[features]\noff = {OFF}\n')
    return file


def test_it_lists_what_is_on_and_how_the_rest_is_turned_on(config: Path) -> None:
    found = {each["name"]: each for each in json.loads(command(config, "features", "--json").stdout)}
    assert found.keys() == FEATURES.keys()
    assert {name for name, each in found.items() if not each["on"]} == {*OFF, "users", "payments"}
    assert found["users"]["to_turn_on"] == "set sign_up in [users]"
    assert found["jobs"]["needs"] == [*FEATURES["jobs"]]
    assert "job_steps" in found["jobs"]["tables"]
    assert "/v1/jobs" in found["jobs"]["endpoints"]
    shown = command(config, "features").stdout
    assert "To turn marks on: take 'marks' out of off in [features]." in shown


@each_row("words", [("lexicons", "list"), ("keys", "rotate-mark"), ("jobs", "list")])
def test_a_command_says_that_its_feature_is_off(words: tuple[str, ...], config: Path) -> None:
    refused = command(config, *words, check=False)
    name = {"keys": "marks"}.get(words[0], words[0])
    said = f"The feature {name} is off on this server. To turn it on: take '{name}' out of off in [features]."
    assert (refused.returncode, refused.stderr.strip()) == (1, said)
