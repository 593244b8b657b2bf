"""Clones of a whole worker: ordered with a voice, spoken with, shown, stranded, restored, and erased."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from fakes.minimax.account import Account
from fakes.minimax.app import KEY, FakeMinimax
from fakes.serving import served
from proxy.app import open_worker
from proxy.engines import registry
from proxy.feature_list import load_config
from proxy.features.clones import records
from proxy.storage.store import Statement
from tests.features.clones.clone_rig import maker_of
from tests.features.erasure.erasing import erasure_of
from tests.fixtures import opened
from tests.proxy.api.inside import Inside, envelope, inside
from tests.proxy.api.owning import agree, new_key, send
from tests.replies import json_of
from tests.waiting import soon

pytestmark = pytest.mark.slow

MODEL = "minimax/speech-2.8-hd"
STUDIO, STUDIO_AGAIN = "studio-key", "another-studio-key"
CONFIG = """
[server]
default_model = "minimax"
[engines.minimax]
api_key = "{key}"
base_url = "{url}"
stream = false
[engines.minimax.costs]
clone = {{ usd = 1.5, per = "job" }}
"speech-2.8-hd" = {{ usd = 0.0001, per = "unit" }}
[models]
minimax = ["minimax/speech-2.8-hd"]
"""
NO_CLOUD = '[engines.tone]\nhosted = false\n[plans.nocloud]\nengines = ["tone"]\n'
WITH_STUDIO = '\n[engines.minimax.credentials.studio]\napi_key = "{key}"\n'


class Provider(NamedTuple):
    fake: FakeMinimax
    studio: Account
    url: str

    def config(self, studio: str = STUDIO) -> str:
        more = WITH_STUDIO.format(key=studio) if studio else ""
        return CONFIG.format(key=KEY, url=self.url) + more

    def spoken_with(self) -> list[tuple[str, str]]:
        """Return the key and the voice of each request for speech that was more than a clone's first word."""
        return [
            (seen.headers["authorization"].removeprefix("Bearer "), seen.json["voice_setting"]["voice_id"])
            for seen in self.fake.provider.spoken()
            if seen.json["text"] != "Hi."
        ]


@asynccontextmanager
async def provider() -> AsyncIterator[Provider]:
    studio = Account()
    fake = FakeMinimax(others={STUDIO: studio, STUDIO_AGAIN: studio})
    async with served(fake.provider) as at:
        yield Provider(fake, studio, at.url)


minimax = opened(provider)


@asynccontextmanager
async def again(folder: Path, text: str, before: Inside) -> AsyncIterator[Inside]:
    """Open a worker on the data of an earlier one, with another configuration."""
    file = folder / "config.toml"
    file.write_text(text)
    async with open_worker(load_config(file, {}), registry.load()) as worker:
        yield before._replace(worker=worker)


async def make_voice(server: Inside, key: str | None = None, **fields: Any) -> str:
    consent = await agree(server, key)
    id_: str = json_of(await send(server, {"name": "Ana", "consent": consent["id"], **fields}, key=key))["id"]
    return id_


async def clones_of(server: Inside, voice: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = (await server.administer("GET", f"voices/{voice}/clones")).json()["data"]
    return listed


async def clone_with(server: Inside, voice: str, state: str) -> dict[str, Any]:
    """Wait until the only clone of a voice has this state."""

    async def found() -> dict[str, Any] | None:
        (row,) = await clones_of(server, voice)
        if row["state"] == state:
            return row
        await maker_of(server).turn()
        return None

    row: dict[str, Any] = await soon(found)
    return row


async def told(server: Inside, voice: str, state: str) -> dict[str, Any]:
    """Wait until the only clone of a voice has this state, and the maker has nothing more to do."""

    async def found() -> dict[str, Any] | None:
        (row,) = await clones_of(server, voice)
        is_idle = repr(maker_of(server)) == "<CloneTasks, 0 under way>"
        return row if row["state"] == state and is_idle else None

    row: dict[str, Any] = await soon(found)
    return row


async def speak(server: Inside, voice: str, key: str | None = None) -> Any:
    body = {"model": MODEL, "voice": voice, "input": "Hello.", "response_format": "pcm", "language": "en"}
    return await server.ask("POST", "/v1/audio/speech", body=body, key=key)


async def test_a_voice_is_cloned_where_it_was_asked_for_and_speaks_there(
    minimax: Provider, tmp_path: Path
) -> None:
    async with inside(tmp_path, minimax.config()) as server:
        voice = await make_voice(server, **{"engines[]": "minimax"})
        row = await clone_with(server, voice, "ready")
        shown = (await server.ask("GET", f"/v1/audio/voices/{voice}")).json()
        assert shown["clones"] == [{"engine": "minimax", "state": "ready", "error": ""}]
        assert "minimax" in shown["engines"]
        assert (await speak(server, voice)).status_code == 200
        assert minimax.spoken_with() == [(KEY, row["engine_voice"])]
        assert (row["credential"], row["name"]) == ("default", row["engine_voice"])
        assert minimax.fake.account.fees == 1


async def test_the_metric_of_what_an_engine_spent_has_the_fee_of_a_clone(
    minimax: Provider, tmp_path: Path
) -> None:
    config = minimax.config().replace("stream = false", "stream = false\nbudget_usd_day = 20")
    async with inside(tmp_path, config) as server:
        voice = await make_voice(server, **{"engines[]": "minimax"})
        await told(server, voice, "ready")
        page = server.worker.metrics.page_text()
    assert 'voxgate_engine_spend_usd{engine="minimax",period="day"} 1.5' in page


async def test_while_it_is_made_the_answer_is_503_and_says_when_to_come_back(
    minimax: Provider, tmp_path: Path
) -> None:
    async with inside(tmp_path, minimax.config()) as server:
        minimax.fake.provider.fail("hang_before", path="files/upload")
        voice = await make_voice(server, **{"engines[]": "minimax"})
        answer = await speak(server, voice)
        assert (answer.status_code, envelope(answer)["code"]) == (503, "voice_not_ready")
        assert int(answer.headers["retry-after"]) > 0


async def test_what_an_engine_cannot_clone_is_refused_before_the_voice_is_made(
    minimax: Provider, tmp_path: Path
) -> None:
    config = f"{minimax.config()}\n[plans.local]\nlocal_only = true\n{NO_CLOUD}"
    async with inside(tmp_path, config) as server:
        fields = {"name": "Ana", "consent": (await agree(server))["id"]}
        answer = await send(server, {**fields, "engines[]": "nobody"})
        assert (answer.status_code, envelope(answer)["param"]) == (400, "engines")
        key = await new_key(server, "local", "local")
        own = {"name": "Ana", "consent": (await agree(server, key))["id"], "engines[]": "minimax"}
        answer = await send(server, own, key=key)
        assert (answer.status_code, envelope(answer)["code"]) == (403, "plan_is_local_only")
        key = await new_key(server, "nocloud", "nocloud")
        own = {"name": "Ana", "consent": (await agree(server, key))["id"], "engines[]": "minimax"}
        answer = await send(server, own, key=key)
        assert (answer.status_code, envelope(answer)["code"]) == (403, "model_not_allowed")
        assert envelope(answer)["param"] == "engines"
        voice = (await send(server, {"name": "Ana", "consent": own["consent"]}, key=key)).json()["id"]
        body = {"engines": ["minimax"]}
        answer = await server.ask("POST", f"/v1/audio/voices/{voice}", body=body, key=key)
        assert (answer.status_code, envelope(answer)["code"]) == (403, "model_not_allowed")
        refused = await server.administer("POST", f"voices/{voice}/clones", {"engine": "minimax"})
        assert refused.status_code == 403
        listed = (await server.ask("GET", "/v1/audio/voices?mine=true")).json()
        assert listed["data"] == []
        assert all("files" not in seen.path for seen in minimax.fake.provider.seen)


async def test_two_accounts_of_a_provider_never_get_each_others_voices(
    minimax: Provider, tmp_path: Path
) -> None:
    async with inside(tmp_path, minimax.config()) as server:
        ours = await make_voice(server, **{"engines[]": "minimax"})
        other_key = await new_key(server, "bob")
        theirs = await make_voice(server, other_key)
        body = {"engine": "minimax", "credential": "studio"}
        assert (await server.administer("POST", f"voices/{theirs}/clones", body)).status_code == 201
        first, second = await clone_with(server, ours, "ready"), await clone_with(server, theirs, "ready")
        assert list(minimax.fake.account.voices) == [first["engine_voice"]]
        assert list(minimax.studio.voices) == [second["engine_voice"]]
        for _ in range(3):
            assert (await speak(server, ours)).status_code == 200
            assert (await speak(server, theirs, other_key)).status_code == 200
        assert set(minimax.spoken_with()) == {
            (KEY, first["engine_voice"]),
            (STUDIO, second["engine_voice"]),
        }
        assert (await speak(server, theirs)).status_code == 400
        assert (await speak(server, f"minimax/{second['engine_voice']}")).status_code == 400


async def test_a_new_secret_keeps_the_clones_and_a_name_that_is_gone_strands_them(
    minimax: Provider, tmp_path: Path
) -> None:
    async with inside(tmp_path, minimax.config()) as server:
        voice = await make_voice(server)
        body = {"engine": "minimax", "credential": "studio"}
        assert (await server.administer("POST", f"voices/{voice}/clones", body)).status_code == 201
        made = await clone_with(server, voice, "ready")
    async with again(tmp_path, minimax.config(studio=STUDIO_AGAIN), server) as server:
        assert (await speak(server, voice)).status_code == 200
        assert minimax.spoken_with()[-1] == (STUDIO_AGAIN, made["engine_voice"])
    async with again(tmp_path, minimax.config(studio=""), server) as server:
        row = await clone_with(server, voice, "stranded")
        assert row["engine_voice"] == made["engine_voice"]
        answer = await speak(server, voice)
        assert (answer.status_code, envelope(answer)["code"]) == (503, "voice_not_ready")
        assert list(minimax.studio.voices) == [made["engine_voice"]]
    asked = len(minimax.spoken_with())
    async with again(tmp_path, minimax.config(), server) as server:
        await clone_with(server, voice, "ready")
        assert (await speak(server, voice)).status_code == 200
        assert minimax.spoken_with()[asked:] == [(STUDIO, made["engine_voice"])]
    assert minimax.studio.fees == 1


async def test_while_the_keys_of_its_account_rest_it_is_503_and_no_other_account_is_asked(
    minimax: Provider, tmp_path: Path
) -> None:
    async with inside(tmp_path, minimax.config()) as server:
        voice = await make_voice(server)
        body = {"engine": "minimax", "credential": "studio"}
        await server.administer("POST", f"voices/{voice}/clones", body)
        await clone_with(server, voice, "ready")
        minimax.fake.provider.fail("error_in_200", path="t2a_v2", code="1008")
        asked = len(minimax.fake.provider.spoken())
        for _ in range(2):
            answer = await speak(server, voice)
            assert (answer.status_code, envelope(answer)["code"]) == (503, "engine_unavailable")
        assert len(minimax.fake.provider.spoken()) == asked + 1


async def test_a_deleted_voice_is_gone_at_the_provider_before_its_receipt_is_complete(
    minimax: Provider, tmp_path: Path
) -> None:
    async with inside(tmp_path, minimax.config()) as server:
        voice = await make_voice(server, **{"engines[]": "minimax"})
        await clone_with(server, voice, "ready")
        assert (await server.ask("DELETE", f"/v1/audio/voices/{voice}")).status_code == 200
        receipt = (await server.ask("GET", f"/v1/audio/voices/erasures/{voice}")).json()
        assert (receipt["pending"], receipt["completed"] is None) == ([], False)
        assert minimax.fake.account.voices == {}
        assert await records.has_no_copies(server.worker.store, voice)


@pytest.mark.clock
async def test_a_provider_that_is_away_holds_the_receipt_up(
    minimax: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.features.clones.clone_tasks._WAIT_UNTIL_GONE_S", 0.3)
    async with inside(tmp_path, minimax.config()) as server:
        voice = await make_voice(server, **{"engines[]": "minimax"})
        await clone_with(server, voice, "ready")
        minimax.fake.provider.fail("5xx", path="delete_voice")
        assert (await server.ask("DELETE", f"/v1/audio/voices/{voice}")).status_code == 200
        receipt = (await server.ask("GET", f"/v1/audio/voices/erasures/{voice}")).json()
        assert (receipt["pending"], receipt["completed"]) == (["providers"], None)
        assert list(minimax.fake.account.voices)
        await server.worker.store.write(Statement("UPDATE bindings SET due = 0"))
        await maker_of(server).look()
        await maker_of(server).finish()
        assert minimax.fake.account.voices == {}
        (done,) = await erasure_of(server.worker).finish_interrupted()
        assert done.pending == ()


async def test_a_clone_that_its_provider_has_lost_is_asked_for_once(
    minimax: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An hour between two looks: whoever has something new says so.
    monkeypatch.setattr("proxy.queue.tasks._LONGEST_WAIT_S", 3600.0)
    async with inside(tmp_path, minimax.config(studio="")) as server:
        voice = await make_voice(server, **{"engines[]": "minimax"})
        made = await told(server, voice, "ready")
        minimax.fake.account.remove(made["engine_voice"])
        asked = len(minimax.spoken_with())
        assert (await speak(server, voice)).status_code == 400
        row = await told(server, voice, "expired")
        assert row["error"] == "The provider does not have it any more."
        again = await speak(server, voice)
        assert (again.status_code, envelope(again)["code"]) == (400, "voice_not_available")
        assert len(minimax.spoken_with()) == asked + 1
        shown = (await server.ask("GET", f"/v1/audio/voices/{voice}")).json()
        assert [clone["state"] for clone in shown["clones"]] == ["expired"]
        (found,) = (await server.administer("GET", "clones/differences")).json()["data"]
        assert [each["voice"] for each in found["lost"]] == [voice]
        await server.administer("POST", "clones/differences", {"reclone": True})
        assert (await told(server, voice, "ready"))["engine_voice"] != made["engine_voice"]
        assert (await speak(server, voice)).status_code == 200


async def test_reconciling_says_what_differs_and_spends_money_only_when_asked(
    minimax: Provider, tmp_path: Path
) -> None:
    async with inside(tmp_path, minimax.config(studio="")) as server:
        voice = await make_voice(server, **{"engines[]": "minimax"})
        made = await clone_with(server, voice, "ready")
        clean = (await server.administer("GET", "clones/differences")).json()["data"]
        assert [(each["unknown"], each["lost"]) for each in clean] == [([], [])]
        stray = f"{made['name']}-stray"
        for name in (stray, "voxgate-ffffffff-1", "somebody-else"):
            minimax.fake.account.add(name)
            minimax.fake.account.speak_with(name)
        minimax.fake.account.remove(made["engine_voice"])
        (found,) = (await server.administer("GET", "clones/differences")).json()["data"]
        assert [each["id"] for each in found["unknown"]] == [stray]
        assert [each["voice"] for each in found["lost"]] == [voice]
        assert (found["engine"], found["credential"], found["fee_usd"]) == ("minimax", "default", 1.5)
        assert (await clone_with(server, voice, "ready"))["engine_voice"] == made["engine_voice"]
        refused = await server.administer("POST", "clones/differences", {"reclone": False})
        assert refused.status_code == 400
        done = (await server.administer("POST", "clones/differences", {"reclone": True})).json()
        assert done["recloned"] == 1
        again = await clone_with(server, voice, "ready")
        assert again["engine_voice"] not in ("", made["engine_voice"])
        assert (await speak(server, voice)).status_code == 200
        assert stray in minimax.fake.account.voices
