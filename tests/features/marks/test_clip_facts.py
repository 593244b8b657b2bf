"""The facts of a clip: they are of the audio that the client got, and name whoever spoke and agreed."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import httpx2
from msgspec.structs import replace

from policies.plans import UNLIMITED, build_terms
from policies.routing import Candidate, Model, PostSpeaker, Voice
from proxy.features.marks.clip_facts import ClipFacts, ClipSpeaker, find_clip
from proxy.features.marks.provenance_observer import PlannedFacts
from proxy.speech.part import Part
from proxy.speech.planning import SpeechPlan
from speech_engine import Encoded, EngineVoice, Finished, ModelInfo, Started, errors
from tests import speech_clips
from tests.features.marks.saved_answers import ANSWERS, saved
from tests.proxy.api.inside import TONE, Inside, inside
from tests.proxy.api.scripted import RATE_HZ, Scripted, spoken
from tests.tables import each_row

DUE = TONE.replace("hosted = false", "hosted = false\nmarking = true")
BARE = '[marking]\nmark = ""\n'
"""Manifests alone: the sound is that of the engine."""
CACHED = DUE + BARE + '[cache]\non = true\n[plans.waived]\nconsent = "waived"\n'
PROVIDER = f"""
{BARE}
[engines.one]
marking = true
[models]
pair = ["one/m"]
[voices.ana]
one = "v"
"""
_COUNT = "SELECT count(*) AS n FROM receipts"


async def facts_of(server: Inside, answer: httpx2.Response) -> ClipFacts:
    assert answer.status_code == 200, answer.text
    found = await find_clip(server.worker.store, answer.headers["x-request-id"])
    assert found is not None
    assert found.account == server.account.id
    return found.facts


@each_row("kind", ANSWERS)
async def test_the_digest_is_of_the_file_that_the_client_saves(tmp_path: Path, kind: str) -> None:
    async with inside(tmp_path, CACHED) as server:
        for _ in ("spoken", "from the cache"):
            answer = await server.speech("A short text. " * 4, **ANSWERS[kind])
            facts, body = await facts_of(server, answer), saved(answer)
            assert (facts.sha256, facts.bytes) == (hashlib.sha256(body).hexdigest(), len(body))
            assert facts.speakers == (ClipSpeaker("tone/standard", "Apache-2.0", is_trained=False),)
            assert (facts.language, facts.consents, facts.mark) == ("en", (), "")
            assert facts.manifest == ("embedded" if kind in ("whole wav", "events") else "sidecar")
        rows = await server.usage()
    assert [row.cache for row in rows] == ["hit", "miss"]
    assert facts.samples == rows[0].samples == rows[1].samples


async def test_what_an_engine_encoded_passes_through_and_has_its_own_digest(tmp_path: Path) -> None:
    async with inside(tmp_path, PROVIDER, {"one": Scripted(*spoken(1.0))}) as server:
        mp3 = (await server.speech(model="pair", voice="ana")).content
    engine = Scripted(Started(RATE_HZ), Encoded("mp3", mp3), Finished(), formats=("mp3",), is_local=False)
    (other := tmp_path / "other").mkdir()
    async with inside(other, PROVIDER, {"one": engine}) as server:
        answer = await server.speech(model="pair", voice="ana")
        facts = await facts_of(server, answer)
    assert answer.content == mp3
    assert (facts.sha256, facts.bytes) == (hashlib.sha256(mp3).hexdigest(), len(mp3))
    assert facts.speakers == (ClipSpeaker("one/m", ""),)


async def test_all_who_spoke_are_named_with_their_licences(tmp_path: Path) -> None:
    two = PROVIDER.replace("[models]", "[engines.two]\nmarking = true\n[models]").replace(
        '["one/m"]', '["one/m", "two/m"]'
    )
    config = two + '[voices.ben]\ntwo = "v"\n'
    speakers = {
        "one": Scripted(*spoken(0.5), licence="CPML"),
        "two": Scripted(*spoken(0.5), licence="MIT", is_trained=False),
    }
    async with inside(tmp_path, config, speakers) as server:
        voice = {"cast": {"Ana": "ana", "Ben": "ben"}}
        text = "[Ben] One. [Ana] Two. [Ben] Three."
        answer = await server.speech(text, model="pair", voice=voice)
        facts = await facts_of(server, answer)
    assert facts.speakers == (ClipSpeaker("two/m", "MIT", is_trained=False), ClipSpeaker("one/m", "CPML"))


@each_row(("manifests", "place"), [("true", "sidecar"), ("false", "")])
async def test_a_marked_clip_names_its_mark_and_its_manifest(
    tmp_path: Path, manifests: str, place: str
) -> None:
    async with inside(tmp_path, f"{DUE}[marking]\nmanifests = {manifests}\n") as server:
        answer = await server.speech(response_format="mp3")
        facts = await facts_of(server, answer)
    assert f"{facts.mark}; key={facts.mark_key}" == answer.headers["x-voxgate-mark"]
    assert (facts.mark, facts.manifest) == ("spread", place)


async def test_an_own_voice_names_the_consent_of_its_speaker_by_a_digest(tmp_path: Path) -> None:
    async with inside(tmp_path, CACHED, plan="waived") as server:
        agreed = {"name": "Ana", "language": "en", "statement": "Ana agreed on paper."}
        made = await server.ask("POST", "/v1/audio/voice_consents", body=agreed)
        shown, consent = made.json(), made.json()["id"]
        files = {"audio_sample": ("a.wav", speech_clips.wav(), "audio/wav")}
        async with server.client() as client:
            made = await client.post(
                "/v1/audio/voices", data={"name": "Ana", "consent": consent}, files=files
            )
        own = made.json()["id"]
        mix = {"mix": [{"id": own}, {"id": "alloy"}]}
        digests = {
            (await facts_of(server, await server.speech(voice=voice))).consents for voice in (own, mix)
        }
        other = (await facts_of(server, await server.speech(voice="alloy"))).consents
    ((digest,),) = digests
    lines = ("voxgate/consent/v1", shown["kind"], consent, str(shown["created_at"]), shown["digest"] or "")
    assert digest == hashlib.sha256("\n".join(lines).encode()).hexdigest()
    assert other == ()


async def test_an_answer_that_broke_has_no_facts(tmp_path: Path) -> None:
    engine = Scripted(*spoken(0.5)[:-1], errors.EngineFailed("x"))
    async with inside(tmp_path, PROVIDER, {"one": engine}) as server:
        await server.raw_speech({"model": "pair", "voice": "ana", "input": "Hi."})
        (row,) = await server.usage()
        assert row.outcome == "failed"
        assert await server.worker.store.read(_COUNT) == [{"n": 0}]


async def test_a_client_that_left_has_no_facts(tmp_path: Path) -> None:
    leaves, wait = asyncio.Event(), asyncio.Event()
    engine = Scripted(*spoken(0.5)[:-1], wait.wait)

    async def on_sent(message: Any) -> None:
        if message["type"] == "http.response.body":
            leaves.set()

    async with inside(tmp_path, PROVIDER, {"one": engine}) as server:
        body = {"model": "pair", "voice": "ana", "input": "Hi.", "response_format": "pcm"}
        await server.raw_speech(body, leaves, on_sent)
        (row,) = await server.usage()
        assert row.outcome == "left"
        assert await server.worker.store.read(_COUNT) == [{"n": 0}]


async def test_without_a_mark_and_a_manifest_no_row_is_written(tmp_path: Path) -> None:
    async with inside(tmp_path, TONE) as server:
        for more in ANSWERS.values():
            assert (await server.speech(**more)).status_code == 200
        assert len(await server.usage()) == len(ANSWERS)
        assert await server.worker.store.read(_COUNT) == [{"n": 0}]


def test_who_repeats_a_speech_and_whose_voice_that_is_are_in_its_facts() -> None:
    sung = ModelInfo(id="c", languages=(), sample_rate_hz=24_000, licence="MIT", is_trained=True)
    anna = Voice(id="anna", name="anna", consent="of anna")
    post = PostSpeaker(Model("rvc", sung), EngineVoice("a"), anna)
    ana = Voice(id="ana", name="ana", consent="of ana")
    first = Candidate(Model("one", replace(sung, id="m", licence="CPML")), EngineVoice("v"), post=post)
    part = Part(ana, "en", (first,), 0, 1, 1.0, 1)
    facts = PlannedFacts(
        SpeechPlan(ana, ana.id, "en", (part,), 1.0, build_terms(UNLIMITED), frozenset(), frozenset())
    )
    assert facts.consents == ("of ana", "of anna")
    assert facts.speakers[first.speaker] == (
        ClipSpeaker("one/m", "CPML", is_trained=True),
        ClipSpeaker("rvc/c", "MIT", is_trained=True),
    )
