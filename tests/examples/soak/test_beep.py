"""What is built of beep, found again by a second build, and by `voxgate check --plugin` on its folder."""

from __future__ import annotations

import json
from typing import Any

from tests.examples.conftest import BEEP
from tests.examples.test_beep import built, voxgate

__all__ = ["built"]


def test_building_again_finds_it_there(installed: dict[str, str], built: dict[str, Any]) -> None:
    again = json.loads(voxgate(installed, "env", "build", "beep", "--json").stdout)
    assert again == {**built, "built": False}


def test_check_tries_the_contract_in_an_environment_that_is_shared(
    installed: dict[str, str], built: dict[str, Any]
) -> None:
    # The folder itself is another installation of the plugin: it shares what is built.
    done = voxgate(installed, "env", "build", "beep", "--plugin", str(BEEP), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["hash"] == built["hash"]
    done = voxgate(installed, "check", "--plugin", str(BEEP), "--json")
    findings = json.loads(done.stdout)["data"]
    assert done.returncode == 0, findings
    assert len([finding for finding in findings if finding["check"] == "rule"]) >= 15

    gone = json.loads(voxgate(installed, "env", "remove", "beep", "--stale", "--json").stdout)["data"]
    assert gone == []
    listed = json.loads(voxgate(installed, "env", "list", "--json").stdout)["data"]
    rows = [row for row in listed if row["plugin"] == "beep"]
    assert [(row["hash"], row["state"]) for row in rows] == [(built["hash"], "current")]
