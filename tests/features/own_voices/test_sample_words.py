"""The words of a voice's recordings: heard where a model needs them and they are missing, or changed."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from policies.sample_quality import PART_S
from proxy.audio.formats import wav_header
from proxy.features.consents.hearings import MOST_FREE_S
from proxy.features.own_voices.sample_words import words_before
from proxy.storage.store import Params, Statement
from speech_engine import EngineFailed
from speech_engine.hearing import TranscriptWord
from speech_engine.values import Samples
from tests import speech_clips
from tests.features.own_voices.test_clips import add, listed, other_wav
from tests.features.transcriptions.ears import Ears, said, whole
from tests.proxy.api.inside import TONE, Inside, envelope, inside
from tests.proxy.api.owning import agree, clone, send
from tests.proxy.api.scripted import Scripted
from tests.proxy.api.scripted import spoken as scripted
from tests.replies import json_of
from tests.tables import each_row
from tests.waiting import soon

CONFIG = (
    TONE.replace("hosted = false", "hosted = false\nneeds_sample_text = true")
    + "[engines.scripted]\nhosted = false\n"
)
SPOKEN = "A train leaves at noon."
NEEDED = "reference_text_required"


async def spoken(server: Inside, voice: str) -> str:
    """The message of a refusal, or nothing."""
    answer = await server.speech(voice=voice)
    return "" if answer.status_code == 200 else str(envelope(answer)["message"])


async def change(server: Inside, voice: str, sample: str, text: Any) -> Any:
    return await server.ask("POST", f"/v1/audio/voices/{voice}/samples/{sample}", body={"ref_text": text})


async def settled(server: Inside) -> None:
    async def none_left() -> bool:
        return not await server.worker.store.read("SELECT id FROM hearings")

    await soon(none_left)


async def test_missing_words_are_heard_and_may_be_changed(tmp_path: Path) -> None:
    halt = asyncio.Event()
    ears = Ears(halt.wait, *whole(said(SPOKEN)), id="ears")
    async with inside(tmp_path, CONFIG, engines={"scripted": ears}) as server:
        voice = (await clone(server, language="en"))["id"]
        assert "its words are being heard" in await spoken(server, voice)
        (first,) = await listed(server, voice)
        assert (first["ref_text"], "ref_text_from" in first) == ("", False)
        halt.set()
        await settled(server)
        assert await spoken(server, voice) == ""
        clip = json_of(await add(server, voice, other_wav(1), emotion="sad"), 201)
        await settled(server)
        found = await listed(server, voice)
        assert [(each["ref_text"], each["ref_text_from"]) for each in found] == [(SPOKEN, "heard")] * 2
        for sample in (first["id"], clip["id"]):
            changed = json_of(await change(server, voice, sample, "Other words."))
            assert (changed["ref_text"], "ref_text_from" in changed) == ("Other words.", False)
        assert [each["ref_text"] for each in await listed(server, voice)] == ["Other words."] * 2
        refused = [await change(server, voice, first["id"], text) for text in ("x" * 1001, 7, None)]
        refused.append(await change(server, voice, "clip_0", "x"))
        assert [each.status_code for each in refused] == [400, 400, 400, 404]


async def test_words_that_their_owner_states_meanwhile_stay(tmp_path: Path) -> None:
    halt = asyncio.Event()
    ears = Ears(halt.wait, *whole(said(SPOKEN)), id="ears")
    async with inside(tmp_path, CONFIG, engines={"scripted": ears}) as server:
        fields = {"name": "short", "consent": (await agree(server))["id"], "language": "en"}
        voice = json_of(await send(server, fields, cut_wav(8.0)))["id"]
        (first,) = await listed(server, voice)
        await soon(lambda: ears.jobs)
        json_of(await change(server, voice, first["id"], "Mine."))
        halt.set()
        await soon(lambda: not ears.open)
        await settled(server)
        (row,) = await listed(server, voice)
        assert (row["ref_text"], await spoken(server, voice)) == ("Mine.", "")
        assert await server.worker.store.read("SELECT seconds FROM free_hearing") == []


async def test_words_are_required_where_they_cannot_be_heard(tmp_path: Path) -> None:
    ears = Ears(EngineFailed(""), id="ears")
    async with inside(tmp_path, CONFIG, engines={"scripted": ears}) as server:
        store = server.worker.store
        consent = (await agree(server))["id"]
        fields = {"name": "long", "consent": consent, "language": "en"}
        long = await send(server, fields, speech_clips.long_wav())
        assert (long.status_code, envelope(long)["code"]) == (400, NEEDED)
        voice = (await clone(server, language="en"))["id"]
        await soon(lambda: store.read("SELECT id FROM hearings WHERE tries = 1 AND lease = 0"))
        await store.write(Statement("UPDATE hearings SET due = 0, tries = 9"))
        await settled(server)
        assert (await spoken(server, voice)).endswith("give its text.")
        used = "INSERT INTO free_hearing VALUES (:account, :day, :seconds, '')"
        day = await store.now() // 86_400_000_000
        row: Params = {"account": server.account.id, "day": day, "seconds": MOST_FREE_S}
        await store.write(Statement(used, row))
        full = await send(server, fields)
        assert (full.status_code, envelope(full)["code"]) == (400, NEEDED)


BEFORE_S, PAUSE_S = 10.0, 0.6
"""A long recording: speech, a pause, and more speech."""
LONG = "A train leaves at noon. The next one goes at four."
READER = """
[server]
default_model = "reader"
[engines.reader]
hosted = false
[engines.scripted]
hosted = false
[models]
reader = ["reader/m"]
"""


def cut_wav(*seconds: float) -> bytes:
    """The speech of `speech_clips` from its first word on, once for each of these lengths, with pauses."""
    wav = speech_clips.wav()
    rate_hz = int.from_bytes(wav[24:28], "little")
    pcm = wav[len(wav_header(0)) + 2 * round(0.4 * rate_hz) :]
    cuts = bytes(2 * round(PAUSE_S * rate_hz)).join([pcm[: 2 * round(each * rate_hz)] for each in seconds])
    return wav_header(len(cuts) // 2, rate_hz) + cuts


def reader() -> Scripted:
    """A model such as F5: it needs the words, and takes 12 seconds."""
    needs = {"needs_sample_text": True, "sample_s": (3.0, PART_S), "sample_hz": 24_000}
    return Scripted(*scripted(0.2), speaks_samples=True, is_local=True, **needs)


async def test_a_long_recording_gives_the_part_before_its_last_pause(tmp_path: Path) -> None:
    early, late = LONG[: LONG.index(" The")], LONG[LONG.index("The") :]
    heard = (said(early, 0.1, BEFORE_S), said(late, BEFORE_S + PAUSE_S, 20.0))
    ears, f5 = Ears(*whole(*heard), id="ears"), reader()
    async with inside(tmp_path, READER, engines={"scripted": ears, "reader": f5}) as server:

        async def job_text(voice: str) -> str:
            assert await spoken_with(server, voice) == ""
            assert isinstance(f5.jobs[-1].voice, Samples)
            (sample,) = f5.jobs[-1].voice.samples
            pcm = await store.pcm(server.account.id, sample.digest, f5.models()[0])
            assert BEFORE_S < len(pcm) / 48_000 < BEFORE_S + PAUSE_S
            return sample.text

        store = server.worker.open_features.context.samples
        consent = (await agree(server))["id"]
        for name, words in (("heard", None), ("stated", LONG)):
            fields = {"name": name, "consent": consent, "language": "en"}
            sent = await send(
                server, fields | ({"ref_text": words} if words else {}), cut_wav(BEFORE_S, BEFORE_S)
            )
            voice = json_of(sent)["id"]
            await settled(server)
            (row,) = await listed(server, voice)
            assert ("ref_text_from" in row) is (words is None)
            assert await job_text(voice) == early
        assert {job.times for job in ears.jobs} == {"words"}
        json_of(await change(server, voice, row["id"], LONG.replace("train", "tram")))
        assert "all their words" in await spoken_with(server, voice)
        await settled(server)
        assert await job_text(voice) == early.replace("train", "tram")
        json_of(await change(server, voice, row["id"], "Quite other words."))
        await settled(server)
        assert "all their words" in await spoken_with(server, voice)


async def test_a_recording_without_a_pause_that_was_heard_is_too_long(tmp_path: Path) -> None:
    ears = Ears(*whole(said(LONG, 0.1, 20.0)), id="ears")
    async with inside(tmp_path, READER, engines={"scripted": ears, "reader": reader()}) as server:
        fields = {"name": "it", "consent": (await agree(server))["id"], "language": "en"}
        voice = json_of(await send(server, fields, cut_wav(BEFORE_S, BEFORE_S)))["id"]
        await settled(server)
        assert "all their words" in await spoken_with(server, voice)


async def spoken_with(server: Inside, voice: str) -> str:
    """The message of a refusal, or nothing."""
    answer = await server.speech(model="reader", voice=voice)
    return "" if answer.status_code == 200 else str(envelope(answer)["message"])


def timed(*words: str) -> Sequence[TranscriptWord]:
    """Words of a second each, with a pause of a second for each "|"."""
    return [TranscriptWord(at, at + 0.9, word) for at, word in enumerate(words) if word != "|"]


@pytest.mark.unit
@each_row(
    ("heard", "text", "part"),
    [
        (("Good", "morning,", "|", "Ana."), "Good morning, Ana.", "Good morning,"),
        # Other words away from the pause, a number, another case, and a mark that opens.
        (("At", "seven", "it", "rains.", "|", "And", "then?"), "At 7 it RAINS. ¿And then?", "At 7 it RAINS."),
        (("la", "la", "|", "la", "la"), "La la, la la.", "La la,"),
        (("สวัสดี", "|", "ครับ"), "สวัสดีครับ", "สวัสดี"),
        (("one", "two", "|", "four"), "One two three four.", ""),
        (("|", "one"), "One.", ""),
        (("one", "|"), "One.", ""),
        (("one", "two", "three"), "One two three.", "One two"),
        ((), "One.", ""),
    ],
)
def test_the_words_before_a_pause_are_found_in_the_text(heard: tuple[str, ...], text: str, part: str) -> None:
    pause_s = heard.index("|") + 0.5 if "|" in heard else 1.95
    assert words_before(pause_s, timed(*heard), text) == part


@pytest.mark.unit
def test_a_word_in_the_pause_leaves_no_part() -> None:
    assert words_before(1.5, timed("one", "two", "three"), "One two three.") == ""
