"""`voxgate voices clone` and `reconcile`, beside a live server whose provider is a fake; and without one."""

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from fakes.minimax.app import KEY, FakeMinimax
from fakes.serving import served
from tests import server, speech_clips
from tests.commands import command
from tests.proxy.cli.test_main import Run, folder, refused, run
from tests.waiting import until

pytestmark = pytest.mark.slow

__all__ = ["folder", "run"]

CONFIG = """
[engines.minimax]
base_url = "{url}"
[engines.minimax.credentials.studio]
api_key = "{key}"
[engines.minimax.costs]
clone = {{ usd = 1.5, per = "job" }}
"""


class Commands:
    """Commands beside a running server."""

    def __init__(self, started: server.Server) -> None:
        self._started = started

    def __call__(self, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        return command(self._started.config, *arguments, check=False, typed=typed)

    def json(self, *arguments: str) -> dict[str, Any]:
        done = self(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def lost(self) -> list[dict[str, Any]]:
        (place,) = self.json("voices", "reconcile")["data"]
        assert (place["engine"], place["credential"], place["fee_usd"]) == ("minimax", "studio", 1.5)
        lost: list[dict[str, Any]] = place["lost"]
        return lost


async def test_a_clone_is_ordered_lost_and_made_again(tmp_path: Path) -> None:
    fake = FakeMinimax()
    recording = tmp_path / "ana.wav"
    recording.write_bytes(speech_clips.wav())
    async with served(fake.provider) as at:
        config = server.TONE + CONFIG.format(url=at.url, key=KEY)
        await asyncio.to_thread(_order_lose_and_reclone, tmp_path / "server", config, recording, fake)


def _order_lose_and_reclone(folder: Path, config: str, recording: Path, fake: FakeMinimax) -> None:
    folder.mkdir()
    with server.running(folder, config) as started:
        voxgate = Commands(started)
        voxgate.json("accounts", "create", "ana")
        consent = voxgate.json(
            "consents", "add", "Ana", "--account", "ana", "--statement", "Yes.", "--language", "en"
        )
        voice = voxgate.json(
            "voices", "add", "Ana", str(recording), "--account", "ana", "--consent", consent["id"]
        )
        ordered = voxgate("voices", "clone", "Ana", "--account", "ana", "--engine", "minimax")
        assert ordered.returncode == 0, ordered.stderr
        assert "studio" in ordered.stdout
        assert max(map(len, ordered.stdout.splitlines())) <= 80
        until(lambda: fake.account.listed() != [])
        (first,) = fake.account.listed()
        assert "No differences." in voxgate("voices", "reconcile").stdout
        fake.account.remove(first)
        assert [row["voice"] for row in voxgate.lost()] == [voice["id"]]
        refusal = voxgate("voices", "reconcile", "--reclone", "--json")
        assert refusal.returncode != 0
        assert "--yes" in refusal.stderr
        declined = voxgate("voices", "reconcile", "--reclone", typed="n\n")
        assert "for about $1.50?" in declined.stdout + declined.stderr
        assert (declined.returncode, len(voxgate.lost())) == (1, 1)
        assert voxgate.json("voices", "reconcile", "--reclone", "--yes")["recloned"] == 1
        until(lambda: fake.account.listed() != [])
        assert fake.account.listed() != [first]
        assert voxgate.lost() == []
        assert fake.account.fees == 2


@pytest.mark.parametrize("arguments", [("reconcile",), ("reconcile", "--reclone", "--yes")])
def test_without_a_server_nobody_asks_a_provider(run: Run, arguments: tuple[str, ...]) -> None:
    assert refused(run("voices", *arguments)) == "Only a running server makes clones; start it first."
