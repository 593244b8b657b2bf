"""Signed manifests of answers: beside a stream, inside a whole file, and what becomes of both."""

import asyncio
import base64
import json
import re
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from prometheus_client import CollectorRegistry
from starlette.types import Message
from structlog.testing import capture_logs

from proxy.app import open_worker
from proxy.config.sections import Config
from proxy.feature_list import load_config
from proxy.features.marks.clip_facts import ClipSpeaker, find_clip
from proxy.features.marks.manifest import ManifestFacts
from proxy.features.marks.signer import Signer, SignerUnavailable, open_signer
from proxy.file_store import key_ring
from proxy.speech_steps.whole_file import SpilledBytes
from proxy.storage import usage
from speech_engine import Encoded, Finished, Started, errors
from tests.features.cache.keeping import landed
from tests.features.marks.inside import manifests_of
from tests.features.marks.manifests import MEDIA_TYPES, read
from tests.features.marks.signed_bytes import embed
from tests.features.marks.time_stamper import time_stamper
from tests.proxy.api.inside import Inside, envelope, inside, with_engines
from tests.proxy.api.scripted import Scripted, Step, spoken
from tests.proxy.speech.test_candidate_stream import mp3
from tests.sound import decoded
from tests.tables import soak

pytestmark = pytest.mark.slow

CONFIG = """
[engines.one]
[engines.tones]
[cache]
on = true
[marking]
"""
BODY = {"model": "one", "voice": "one/v", "input": "Hello there."}
TONES = {"model": "tones", "voice": "tones/v"}
LINK = re.compile(r'<(/v1/audio/manifests/(req_\w+)-[0-9a-f]{32})>; rel="c2pa-manifest"')
WAIT_S = 60.0


@pytest.fixture(autouse=True)
def a_slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signer that starts late is not what these tests are about."""
    monkeypatch.setattr("proxy.features.marks.provenance_observer.DUE_WITHIN_S", WAIT_S)


def serving(folder: Path, *script: Step, more: str = 'mark = ""') -> AbstractAsyncContextManager[Inside]:
    script = script or tuple(spoken(1.0))
    engines = {"one": Scripted(*script, is_speech=True), "tones": Scripted(*script)}
    return inside(folder, CONFIG + more, engines)


async def ask(server: Inside, **more: object) -> httpx2.Response:
    answer = await server.ask("POST", "/v1/audio/speech", body={**BODY, **more})
    assert answer.is_success, answer.text
    return answer


async def sidecar(server: Inside, answer: httpx2.Response) -> httpx2.Response:
    """What its header names, asked for without a key."""
    match = LINK.fullmatch(answer.headers["link"])
    assert match is not None
    return await server.ask("GET", match[1], key="")


class NoSigner(Signer):
    """One that never signs."""

    def __init__(self) -> None:
        super().__init__(CollectorRegistry())

    def prepare(self, *, wants_stamp: bool = True) -> None:
        """It needs no process."""

    async def sign_digest(self, facts: object, digest: object) -> Any:
        del facts, digest
        raise SignerUnavailable

    async def embed(self, *_: object, **__: object) -> Any:
        raise SignerUnavailable


class SlowSigner(NoSigner):
    """One that never ends."""

    async def embed(self, *_: object, **__: object) -> Any:
        await asyncio.Event().wait()


@pytest.mark.parametrize("format_", ["opus", "pcm", *soak("mp3", "aac", "flac")])
async def test_a_stream_has_its_manifest_beside_it(tmp_path: Path, format_: str) -> None:
    async with serving(tmp_path) as server:
        answer = await ask(server, response_format=format_)
        found = await sidecar(server, answer)
        assert (found.status_code, found.headers["content-type"]) == (200, "application/c2pa")
        again = await sidecar(server, answer)
    assert found.content == again.content
    reading = read(format_, answer.content, found.content)
    assert reading.state == "Valid"
    assert reading.actions[0]["softwareAgent"] == {"name": "one/m"}
    assert read(format_, answer.content + b"x", found.content).state == "Invalid"


async def test_a_wav_that_streams_has_its_manifest_beside_it(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        headers = {"x-stainless-raw-response": "stream"}
        body = {**BODY, "response_format": "wav"}
        answer = await server.ask("POST", "/v1/audio/speech", body=body, **headers)
        found = await sidecar(server, answer)
    assert read("wav", answer.content, found.content).state == "Valid"
    assert read("wav", answer.content[:-2], found.content).state == "Invalid"


async def test_events_and_json_have_the_manifest_of_their_audio(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        events = await ask(server, response_format="mp3", stream_format="sse")
        lines = [json.loads(line[6:]) for line in events.text.splitlines() if line.startswith("data: ")]
        streamed = b"".join(base64.b64decode(each["audio"]) for each in lines if "audio" in each)
        assert read("mp3", streamed, (await sidecar(server, events)).content).state == "Valid"
        whole = await ask(server, response_format="json", audio_format="opus")
        audio = base64.b64decode(whole.json()["audio_base64"])
        assert read("opus", audio, (await sidecar(server, whole)).content).state == "Valid"


async def test_a_clip_of_the_cache_has_a_manifest_of_its_own(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        first = await ask(server, response_format="mp3")
        for _ in range(200):
            second = await ask(server, response_format="mp3")
            if second.headers["x-voxgate-cache"] == "hit":
                break
        assert second.headers["x-voxgate-cache"] == "hit"
        assert second.headers["link"] != first.headers["link"]
        assert read("mp3", second.content, (await sidecar(server, second)).content).state == "Valid"


async def test_a_whole_wav_has_its_manifest_inside_and_plays_as_before(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        answer = await ask(server, response_format="wav")
        in_json = await ask(server, response_format="json", audio_format="wav")
    assert "link" not in answer.headers
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert read("wav", answer.content).state == "Valid"
    assert read("wav", answer.content).assertion("org.voxgate.mark") is None
    assert decoded(answer.content, "wav").seconds == pytest.approx(1.0, abs=0.001)
    assert read("wav", base64.b64decode(in_json.json()["audio_base64"])).state == "Valid"


@pytest.mark.parametrize("format_", ["mp3", *soak("wav", "flac")])
async def test_who_asks_for_provenance_gets_a_whole_file_with_it(tmp_path: Path, format_: str) -> None:
    async with serving(tmp_path) as server:
        for body in ({}, TONES, {**TONES, "sample_rate": 16_000}):
            answer = await ask(server, response_format=format_, provenance="c2pa", **body)
            assert "link" not in answer.headers
            assert int(answer.headers["content-length"]) == len(answer.content)
            assert answer.headers["content-type"] == MEDIA_TYPES[format_]
            assert read(format_, answer.content).state == "Valid"
            assert decoded(answer.content, format_).seconds == pytest.approx(1.0, abs=0.1)
        in_json = await ask(server, response_format="json", audio_format=format_, provenance="c2pa")
        assert read(format_, base64.b64decode(in_json.json()["audio_base64"])).state == "Valid"


async def test_a_manifest_in_a_file_is_in_no_clip_of_the_cache(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await ask(server, response_format="mp3", provenance="c2pa")
        for _ in range(200):
            plain = await ask(server, response_format="mp3")
            if plain.headers["x-voxgate-cache"] == "hit":
                break
        assert plain.headers["x-voxgate-cache"] == "hit"
        signed = await ask(server, response_format="mp3", provenance="c2pa")
    assert plain.content[:1] == b"\xff"
    assert plain.content in signed.content
    assert decoded(plain.content * 3, "mp3").seconds == pytest.approx(3.0, abs=0.2)


async def test_what_has_no_place_for_a_manifest_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        for body in (
            {"response_format": "opus"},
            {"response_format": "pcm"},
            {"response_format": "json", "audio_format": "aac"},
            {"response_format": "mp3", "stream_format": "sse"},
        ):
            sent = {**BODY, "provenance": "c2pa", **body}
            answer = await server.ask("POST", "/v1/audio/speech", body=sent)
            assert (answer.status_code, envelope(answer)["param"]) == (400, "provenance")
            assert "Link" in envelope(answer)["message"]
        answer = await server.ask("POST", "/v1/audio/speech", body={**BODY, "provenance": "synthid"})
        assert (answer.status_code, envelope(answer)["param"]) == (400, "provenance")


async def test_what_is_too_long_for_one_file_is_refused_before_it_is_spoken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[bool] = []
    monkeypatch.setattr(Signer, "prepare", lambda _self, *, wants_stamp=True: started.append(wants_stamp))
    async with serving(tmp_path) as server:
        text = "word " * 800
        sent = {**BODY, "input": text, "provenance": "c2pa", "sample_rate": 48_000, "speed": 0.25}
        answer = await server.ask("POST", "/v1/audio/speech", body=sent)
        assert (answer.status_code, envelope(answer)["param"]) == (400, "provenance")
        assert not await server.usage()
    # A refusal costs nothing, so no process is started for it.
    assert not started


async def test_a_server_without_manifests_signs_none(tmp_path: Path) -> None:
    async with serving(tmp_path, more='mark = ""\nmanifests = false') as server:
        answer = await ask(server, response_format="wav")
        assert "link" not in answer.headers
        assert read("wav", answer.content).state == "None"
        # Before anything is planned: the voice may be wrong, too.
        for sent in ({**BODY, "provenance": "c2pa"}, {**BODY, "voice": "nobody", "provenance": "c2pa"}):
            refused = await server.ask("POST", "/v1/audio/speech", body=sent)
            assert (refused.status_code, envelope(refused)["param"]) == (400, "provenance")
        gone = await server.ask("GET", f"/v1/audio/manifests/req_1-{'0' * 32}", key="")
        assert gone.status_code == 404
    assert not (tmp_path / "data" / "mark-keys").exists()


async def test_old_addresses_stay_when_no_new_manifests_are_made(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        read_before, unread = await ask(server), await ask(server)
        manifest = (await sidecar(server, read_before)).content
        (tmp_path / "config.toml").write_text(CONFIG + 'mark = ""\nmanifests = false')
        server.worker.revise(load_config(tmp_path / "config.toml", {}))
        assert (await sidecar(server, read_before)).content == manifest
        assert read("mp3", unread.content, (await sidecar(server, unread)).content).state == "Valid"
        assert "link" not in (await ask(server)).headers


async def test_what_is_due_for_no_mark_has_no_manifest(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        answer = await ask(server, **TONES)
        assert "link" not in answer.headers
        assert read("wav", (await ask(server, **TONES, response_format="wav")).content).state == "None"


async def test_a_kept_wav_that_is_due_for_no_mark_is_given_as_it_lies_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    added: list[int] = []
    add = SpilledBytes.add

    async def counted(self: SpilledBytes, data: bytes) -> None:
        added.append(len(data))
        await add(self, data)

    names = '[models]\nboth = ["tones/m", "one/m"]\n[voices.ana]\none = "v"\ntones = "v"\n'
    sent = {"model": "both", "voice": "ana", "response_format": "wav"}
    async with serving(tmp_path, *spoken(9.0), more=f'mark = ""\n{names}') as server:
        first = await ask(server, **sent)
        await landed(tmp_path)
        monkeypatch.setattr(SpilledBytes, "add", counted)
        again = await ask(server, **sent)
    assert [each.headers["x-voxgate-cache"] for each in (first, again)] == ["miss", "hit"]
    assert again.content == first.content
    assert not added


async def test_an_answer_that_never_was_has_lost_no_manifest(tmp_path: Path) -> None:
    theirs = await signed_mp3(tmp_path)
    tag = theirs[: theirs.index(mp3(1.0, tags=False)[:64])]
    script = (Started(24_000), Encoded("mp3", tag), errors.EngineUnavailable("away"))
    engines = {"one": Scripted(*script, is_speech=True, formats=("mp3",)), "tones": Scripted()}
    async with inside(tmp_path, CONFIG + 'mark = ""', engines) as server:
        failed = await server.ask("POST", "/v1/audio/speech", body=BODY)
        assert failed.status_code == 503
        lost = server.worker.metrics.page_text()
    assert 'voxgate_manifests_lost_total{engine="one"}' not in lost


async def test_nobody_finds_a_manifest_by_guessing(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        answer = await ask(server)
        match = LINK.fullmatch(answer.headers["link"])
        assert match is not None
        path, request = match[1], match[2]
        other = "0" if path[-1] != "0" else "1"
        for wrong in (request, f"{request}-", f"{request}-{'0' * 32}", path[-32:], f"é-{'é' * 32}", "a/b"):
            found = await server.ask("GET", f"/v1/audio/manifests/{wrong}", key="")
            assert found.status_code in (401, 404), wrong
        found = await server.ask("GET", path[:-1] + other, key="")
        assert (found.status_code, envelope(found)["code"]) == (404, "not_found")
        assert (await server.ask("GET", path, key="")).is_success
        assert (await server.ask("GET", path)).is_success


async def test_there_is_no_manifest_before_the_end_and_none_of_what_failed(tmp_path: Path) -> None:
    waits = asyncio.Event()
    async with serving(tmp_path, *spoken(0.5)[:-1], waits.wait, errors.EngineFailed("x")) as server:
        heads: list[Message] = []
        begun = asyncio.Event()

        async def on_sent(message: Message) -> None:
            heads.append(message)
            if message["type"] == "http.response.body":
                begun.set()

        speaking = asyncio.create_task(server.raw_speech({**BODY, "response_format": "pcm"}, on_sent=on_sent))
        async with asyncio.timeout(WAIT_S):
            await begun.wait()
        match = LINK.fullmatch(dict(heads[0]["headers"])[b"link"].decode())
        assert match is not None
        assert (await server.ask("GET", match[1], key="")).status_code == 404
        waits.set()
        await asyncio.wait([speaking])
        assert (await server.ask("GET", match[1], key="")).status_code == 404
        (row,) = await server.usage()
        assert row.outcome == "failed"


async def test_a_manifest_goes_with_its_usage(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        answer = await ask(server)
        assert (await sidecar(server, answer)).is_success
        await usage.delete_oldest(server.worker.store, await server.worker.store.now() + 1, 10)
        assert (await sidecar(server, answer)).status_code == 404
        (row,) = await server.worker.store.read("SELECT count(*) AS kept FROM manifests")
        assert row["kept"] == 0


@pytest.mark.clock
@pytest.mark.parametrize("signer", [NoSigner(), SlowSigner()], ids=["none", "slow"])
async def test_a_wav_goes_out_without_when_nothing_signs(
    tmp_path: Path, signer: NoSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.features.marks.provenance_observer.DUE_WITHIN_S", 0.1)
    async with serving(tmp_path) as server:
        manifests = manifests_of(server.worker)
        signer.revise(Config(data=str(tmp_path)))
        real, manifests.signer = manifests.signer, signer
        answer = await ask(server, response_format="wav")
        assert read("wav", answer.content).state == "None"
        if not isinstance(signer, SlowSigner):
            failed = await sidecar(server, answer)
            assert (failed.status_code, envelope(failed)["code"]) == (503, "manifest_unavailable")
            assert int(failed.headers["retry-after"]) > 0
        manifests.signer = real
        assert read("wav", answer.content, (await sidecar(server, answer)).content).state == "Valid"


async def test_who_asked_for_provenance_and_cannot_have_it_pays_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        signer = NoSigner()
        signer.revise(Config(data=str(tmp_path)))
        manifests_of(server.worker).signer = signer
        sent = {**BODY, "provenance": "c2pa", "response_format": "mp3"}
        answer = await server.ask("POST", "/v1/audio/speech", body=sent)
        error = envelope(answer)
        assert (answer.status_code, error["code"], error["param"]) == (
            503,
            "manifest_unavailable",
            "provenance",
        )
        (row,) = await server.usage()
    assert (row.outcome, row.error, row.credits) == ("failed", "manifest_unavailable", 0)


async def test_the_inaudible_mark_is_named_in_the_manifest(tmp_path: Path) -> None:
    async with serving(tmp_path, *[*spoken(3.0)], more='mark = "spread"') as server:
        answer = await ask(server, response_format="wav")
    plugin, _, key = answer.headers["x-voxgate-mark"].partition("; key=")
    assert read("wav", answer.content).assertion("org.voxgate.mark") == {"plugin": plugin, "key": key}


async def test_a_wav_that_nobody_asked_a_manifest_for_waits_for_no_time_stamper(tmp_path: Path) -> None:
    with time_stamper() as stamper:
        more = f'mark = ""\ntimestamp_url = "{stamper.url}"'
        async with serving(tmp_path, more=more) as server:
            unasked = await ask(server, response_format="wav")
            assert stamper.asked == 0
            asked = await ask(server, response_format="wav", provenance="c2pa")
    times = ["time" in read("wav", each.content).active["signature_info"] for each in (unasked, asked)]
    assert times == [False, True]


async def test_a_new_key_of_the_mark_keeps_old_addresses(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        answer = await ask(server)
        key_ring.add_key(tmp_path / "data" / "mark-keys")
        server.worker.revise(load_config(tmp_path / "config.toml", {}))
        assert (await sidecar(server, answer)).is_success
        assert (await ask(server)).headers["link"] != answer.headers["link"]


@pytest.mark.parametrize("more", ['mark = ""', 'mark = "spread"'])
async def test_a_start_without_the_keys_of_earlier_clips_is_logged(tmp_path: Path, more: str) -> None:
    async with serving(tmp_path, more=more) as server:
        await ask(server)
    (tmp_path / "data" / "mark-keys").unlink()
    engines = with_engines({"one": Scripted(), "tones": Scripted()})
    config = load_config(tmp_path / "config.toml", {})
    with capture_logs() as logs:
        async with open_worker(config, engines):
            pass
        async with open_worker(config, engines):
            pass
    assert [each["log_level"] for each in logs if each["event"] == "mark.keys.gone"] == ["error"]


async def test_facts_name_no_manifest_that_cannot_be_had(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mark-keys").write_text("no key of thirty-two bytes in base64 at all")
    async with serving(tmp_path) as server:
        for format_, place in (("mp3", ""), ("wav", "embedded")):
            answer = await ask(server, response_format=format_)
            assert "link" not in answer.headers
            found = await find_clip(server.worker.store, answer.headers["x-request-id"])
            assert (found.facts.manifest if found else "") == place


async def signed_mp3(folder: Path) -> bytes:
    """A clip as a provider that signs its sound gives it."""
    async with open_signer(Config(data=str(folder)), CollectorRegistry()) as signer:
        facts = ManifestFacts(0, (ClipSpeaker("their/model", ""),))
        return (await embed(signer, facts, mp3(1.0, tags=True), "audio/mpeg")).data


@pytest.mark.parametrize("piece", [100, 1_000_000])
async def test_the_manifest_of_a_provider_is_in_ours_if_somebody_asks(tmp_path: Path, piece: int) -> None:
    theirs = await signed_mp3(tmp_path)
    pieces = [Encoded("mp3", theirs[at : at + piece]) for at in range(0, len(theirs), piece)]
    engine = Scripted(Started(24_000), *pieces, Finished(), is_local=False, is_speech=True, formats=("mp3",))
    async with inside(tmp_path, CONFIG + 'mark = ""', {"one": engine, "tones": Scripted()}) as server:
        signed = await ask(server, response_format="mp3", provenance="c2pa", cache=False)
        reading = read("mp3", signed.content)
        assert reading.state == "Valid"
        assert len(reading.store["manifests"]) == 2
        (parent,) = reading.active["ingredients"]
        assert parent["relationship"] == "parentOf"
        assert read("mp3", theirs).active["label"] == parent["active_manifest"]
        assert [each["action"] for each in reading.actions] == ["c2pa.opened", "c2pa.edited"]
        lost = 'voxgate_manifests_lost_total{engine="one"}'
        assert lost not in server.worker.metrics.page_text()
        plain = await ask(server, response_format="mp3", cache=False)
        assert read("mp3", plain.content).state == "None"
        assert plain.content in signed.content
        assert f"{lost} 1.0" in server.worker.metrics.page_text()
