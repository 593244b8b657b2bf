"""`voxgate check` beside a running server, which tells what its engines can do."""

import json

import pytest

from tests import server

CONFIG = f"""{server.ALONE}
[engines.other]
plugin = "tone"
[[routes]]
language = "en"
candidates = ["tone/standard"]
post = [{{ engine = "other", voice = "tone", when = "emotion:happy" }}]
"""

running = server.live_server(CONFIG)


def route_of(running: server.Server, step: str = "") -> tuple[str, str, str]:
    """What is said of the route: the verdict, what was found and what to do; with another step, if given."""
    file = running.config
    if step:
        file = running.config.with_name("changed.toml")
        file.write_text(CONFIG.replace('engine = "other", voice = "tone", when = "emotion:happy"', step))
    done = server.command(file, "check", "--json", check=False)
    rows = json.loads(done.stdout)["data"]
    (row,) = (each for each in rows if (each["check"], each["name"]) == ("route", "en"))
    return row["state"], row["found"], row["do"]


def test_a_post_step_that_works_is_said_to(running: server.Server) -> None:
    assert running.speech("Hi.", language="en", emotion="happy").status_code == 200
    assert route_of(running) == ("ok", "tone/standard; repeated by other as tone", "")


def test_a_voice_that_was_saved_for_all_accounts_is_no_wrong_one(running: server.Server) -> None:
    step = 'engine = "other", voice = "narrator"'
    verdict, found, _ = route_of(running, step)
    assert verdict == "wrong"
    assert "other has no voice 'narrator', and none of that name is saved for all accounts" in found
    running.cli("voices", "add", "narrator", "--bind", "other=tone")
    assert route_of(running, step) == ("ok", "tone/standard; repeated by other as narrator", "")


@pytest.mark.parametrize(
    ("step", "do"),
    [
        ('engine = "other", voice = "other/nobody"', "voxgate engines --json lists its voices"),
        ('engine = "other", voice = "tone", pitch = 3', "leave out pitch"),
    ],
)
def test_a_step_that_its_engine_can_never_do_is_wrong(running: server.Server, step: str, do: str) -> None:
    verdict, _, said = route_of(running, step)
    assert verdict == "wrong"
    assert said.startswith(do)
