"""A plugin lists packages and nobody has built its environment: it alone is down, and says what to run."""

import httpx2
import pytest

from tests.faults.odd_plugins import Checked, Odd
from tests.replies import json_of
from tests.tables import each_row

pytestmark = pytest.mark.slow

REASON = "run: voxgate env build bell"


def test_the_others_serve_and_its_own_requests_fail_at_once(odd: Odd) -> None:
    assert odd.server.speech("Nothing wrong here.").status_code == 200
    refused = odd.server.speech("Here?", model="bell/standard", voice="bell/any")
    assert refused.status_code == 503


def test_readyz_and_engines_say_what_to_run(odd: Odd) -> None:
    degraded = json_of(httpx2.get(f"{odd.server.url}/readyz"))["degraded"]
    told = {"engine": "bell", "state": "failed", "reason": "failed: see voxgate engines"}
    assert [each for each in degraded if each.get("engine") == "bell"] == [told]
    found = odd.engines()["bell"]
    assert (found["state"], found["reason"]) == ("failed", REASON)


def test_check_says_what_to_run_and_fails(checked: Checked) -> None:
    assert checked.status == 1
    (bad,) = (each for each in checked.findings if each["name"] == "bell" and each["state"] == "wrong")
    assert (bad["check"], bad["found"]) == ("engine", REASON)


@each_row(
    ("command", "says"),
    [
        (
            ("build", "toon"),
            "no plugin called 'toon' is installed. The plugins with packages are: "
            "f5tts, hibari, kokoro, openvoice, piper, pocket, rvc, bell, whisper, xtts, resemblyzer.",
        ),
        (("build", "bell", "--torch", "cpu"), "--torch cpu: name the index that has it"),
        (("remove", "bell"), "this installation has no environment of 'bell'"),
    ],
)
def test_an_env_command_that_cannot_be_done_is_one_line_and_a_status(
    odd: Odd, command: tuple[str, ...], says: str
) -> None:
    done = odd.voxgate(odd.bell, "env", *command)
    assert (done.returncode, done.stdout) == (1, "")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_plugin_without_packages_has_no_environment_to_build(odd: Odd) -> None:
    done = odd.server.cli("env", "build", "tone", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "tone lists no packages of its own" in done.stderr
