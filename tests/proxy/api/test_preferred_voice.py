"""The voice that an account prefers speaks where a request names none."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from proxy.catalogue.library import AccountLibrary, Library
from proxy.feature_list import load_config
from proxy.features.users import own_account
from tests import speech_clips
from tests.proxy.api.inside import TONE, Inside, envelope, inside
from tests.replies import json_of
from tests.tables import each_row

pytestmark = pytest.mark.slow

_BEL = '[voices.bel]\ntone = "tone"\n'
_FILLED = TONE.replace("[server]", '[server]\nfill_missing = true\ndefault_voice = "alloy"')
_SPEECH = {"model": "tts-1", "input": "Hello there."}


@pytest.fixture
async def server(tmp_path: Path, store_url: str) -> AsyncIterator[Inside]:
    async with inside(
        tmp_path,
        f'{TONE}{_BEL}[plans.open]\nconsent = "waived"\n[storage]\nurl = "{store_url}"\n',
        plan="open",
    ) as opened:
        yield opened


async def prefer(server: Inside, voice: str) -> None:
    await server.worker.store.write(own_account.preferred_voice_statement(server.account.id, voice))
    # A change by an operator lets the worker read the account anew.
    await server.administer("POST", f"accounts/{server.account.id}", {"plan": server.account.plan})


async def spoken_by(server: Inside, **more: object) -> str:
    answer = await server.ask("POST", "/v1/audio/speech", body={**_SPEECH, **more})
    if answer.is_error:
        return f"{answer.status_code} {envelope(answer)['code']} {envelope(answer)['param']}"
    return answer.headers["x-voxgate-voice"]


async def preferred(server: Inside) -> object:
    return (await server.ask("GET", "/v1/me")).json()["preferred_voice"]


async def cast(server: Inside, name: str) -> str:
    made = await server.ask("POST", "/v1/audio/voices", body={"name": name, "cast": {"A": "alloy"}})
    return str(json_of(made)["id"])


async def recorded(server: Inside, name: str) -> str:
    async with server.client() as client:
        files = {"audio_sample": ("a.wav", speech_clips.wav(), "audio/wav")}
        made = await client.post("/v1/audio/voices", data={"name": name}, files=files)
    return str(json_of(made)["id"])


@pytest.mark.parametrize("make", [cast, recorded])
async def test_a_preferred_voice_that_is_renamed_stays_and_that_is_erased_goes(
    server: Inside, make: Callable[[Inside, str], Awaitable[str]]
) -> None:
    id_ = await make(server, "stage")
    await prefer(server, id_)
    assert await spoken_by(server) == id_
    assert await preferred(server) == id_
    renamed = await server.ask("POST", f"/v1/audio/voices/{id_}", body={"name": "theatre"})
    assert renamed.is_success, renamed.text
    assert await spoken_by(server) == id_
    assert await spoken_by(server, voice="bel") == "bel"
    assert (await server.ask("DELETE", f"/v1/audio/voices/{id_}")).is_success
    assert await preferred(server) is None
    rows = await server.worker.store.read("SELECT preferred_voice FROM accounts WHERE preferred_voice <> ''")
    assert rows == []
    # The caller may be cached with it for some seconds more.
    assert await spoken_by(server) == "400 missing_required_parameter voice"


async def test_an_erasure_clears_the_preference_of_no_other_voice(server: Inside) -> None:
    first, second = await cast(server, "one"), await cast(server, "two")
    await prefer(server, second)
    assert (await server.ask("DELETE", f"/v1/audio/voices/{first}")).is_success
    assert (await preferred(server), await spoken_by(server)) == (second, second)


@each_row("text, without", [(TONE, "400 missing_required_parameter voice"), (_FILLED, "alloy")])
async def test_a_preferred_voice_counts_until_it_leaves_the_configuration(
    tmp_path: Path, text: str, without: str
) -> None:
    async with inside(tmp_path, text + _BEL) as opened:
        assert await spoken_by(opened) == without
        await prefer(opened, "bel")
        assert await spoken_by(opened) == "bel"
        assert await spoken_by(opened, voice=None) == "bel"
        assert await spoken_by(opened, voice="alloy") == "alloy"
        job = (await opened.ask("POST", "/v1/jobs", body=_SPEECH)).json()
        later = await opened.ask("POST", "/v1/audio/speech", body={**_SPEECH, "background": True})
        assert ("id" in job, later.status_code) == (True, 202)
        (tmp_path / "config.toml").write_text(text)
        opened.worker.revise(load_config(tmp_path / "config.toml", {}))
        assert await spoken_by(opened) == without
        assert await spoken_by(opened, voice="bel") == "400 voice_not_found voice"
        assert await preferred(opened) == "bel", "it may come back"
        (tmp_path / "config.toml").write_text(text + _BEL)
        opened.worker.revise(load_config(tmp_path / "config.toml", {}))
        assert await spoken_by(opened) == "bel"


async def test_a_preferred_voice_that_is_gone_costs_no_read_for_each_request(
    server: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    await prefer(server, "gone")
    assert await spoken_by(server, voice="bel") == "bel"
    again, read_again = [], Library.read_again

    async def noted(library: Library, account: str) -> AccountLibrary | None:
        again.append(account)
        return await read_again(library, account)

    monkeypatch.setattr(Library, "read_again", noted)
    for _ in range(5):
        assert await spoken_by(server, voice="bel") == "bel"
    assert again == []
    id_ = await cast(server, "stage")
    await prefer(server, id_)
    assert await spoken_by(server) == id_
