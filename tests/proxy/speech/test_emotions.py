"""Emotions of a voice's recordings and of models, by the request and by tags in its text: what is heard."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from plugins.tone.decode import decode
from proxy.file_store.vault import Vault
from speech_engine import Audio, Event, SpeechJob
from tests.plugins.elevenlabs import rig as elevenlabs
from tests.plugins.minimax import rig as minimax
from tests.proxy.api.inside import TONE, Inside, envelope, inside
from tests.proxy.api.owning import clone
from tests.proxy.api.scripted import Scripted, spoken
from tests.proxy.speech.felt import PITCHES_HZ, Felt, add_recordings, felt
from tests.sound import decoded
from tests.tables import each_row

pytestmark = pytest.mark.slow


@asynccontextmanager
async def acting(folder: Path, more: str = "", **wanted: Any) -> AsyncIterator[Inside]:
    """A server where the account has a voice, Ana, with a plain recording, a happy and a sad one."""
    async with inside(folder, TONE + more, **wanted) as server:
        await add_felt(server, "Ana")
        yield server


async def add_felt(server: Inside, name: str, tags: Collection[str] = tuple(PITCHES_HZ)) -> None:
    voice = (await clone(server, name))["id"]
    context = server.worker.open_features.context
    await add_recordings(context.store, context.find(Vault), server.account.id, voice, tags)
    # What a change does: every library is read again.
    changed = await server.ask("POST", f"/v1/audio/voices/{voice}", body={"description": "felt"})
    assert changed.status_code == 200, changed.text


async def said(server: Inside, text: str, **more: object) -> Felt:
    answer = await server.speech(text, **{"voice": "Ana", "response_format": "wav", **more})
    assert answer.status_code == 200, answer.text
    return felt(answer.content)


async def refusal(server: Inside, text: str, **more: object) -> tuple[int, str, str, str]:
    answer = await server.speech(text, **{"voice": "Ana", **more})
    error = envelope(answer)
    return answer.status_code, error["param"], error["code"], error["message"]


async def test_an_emotion_is_spoken_with_the_recordings_of_its_tag(tmp_path: Path) -> None:
    async with acting(tmp_path) as server:
        for emotion, tag in (("happy", "happy"), ("sad", "sad"), (None, ""), ("Neutral", "")):
            assert await said(server, "Hello.", emotion=emotion) == Felt("Hello.", (tag,))
        tagged = await said(server, "Well. [sad] Oh. [happy] Ha!")
    assert tagged == Felt("Well. Oh. Ha!", ("", "sad", "happy"))


async def test_an_emotion_that_no_recording_has_is_refused_by_those_there_are(tmp_path: Path) -> None:
    async with acting(tmp_path) as server:
        status, param, code, message = await refusal(server, "Hello.", emotion="angry")
        assert (status, param, code) == (400, "emotion", "unsupported_value")
        assert "tone/standard with 'Ana' cannot express; it knows: happy, sad." in message
        assert re.search(r" POST /v1/audio/voices/voice_\w+/samples\.$", message)
        explained = await server.administer(
            "POST",
            "route/explain",
            {"input": "Hm. [sad] Oh. [happy] Ha! [angry] Grr.", "voice": "Ana", "account": server.account.id},
        )
        assert await server.usage() == []
    parts = [(part["start"], part["end"], part.get("emotion")) for part in explained.json()["parts"]]
    assert parts == [(0, 4, None), (9, 14, "sad"), (21, 38, "happy")]


TAGGED: list[tuple[str, Mapping[str, object], str, tuple[str, ...]]] = [
    ("[happy] Hi. [neutral] So. [sad] Bye.", {}, "Hi. So. Bye.", ("happy", "", "sad")),
    ("Well. [happy] Hi.", {"emotion": "sad"}, "Well. Hi.", ("sad", "happy")),
    ("Well. [neutral] Hi.", {"emotion": "sad"}, "Well. Hi.", ("sad", "")),
    ("[HAPPY] Hi. [angry] Grr.", {}, "Hi. Grr.", ("happy",)),
    ("[happy](https://a.b/c) Hi.", {"markdown": "off"}, "[happy](https://a.b/c) Hi.", ("",)),
    ("[happy](https://a.b/c) Hi.", {}, "happy Hi.", ("",)),
    ("**[happy] Hi.** So **[sad] it** is.", {}, "Hi. So it is.", ("happy", "sad")),
    ("[laughs] [happy] Hi.", {}, "[laughs] Hi.", ("", "happy")),
    ("Hi! [happy] ... =", {}, "Hi! ... =", ("", "happy")),
]
"""A text, what is asked besides, the words that are spoken, and the tags of their recordings."""


async def test_a_tag_is_not_spoken_and_holds_until_the_next(
    tmp_path: Path, subtests: pytest.Subtests
) -> None:
    sold = "[plans.sold]\nvoices = 9\nallowance = 1000\nprices.speech = { credits = 2, per = 'character' }"
    async with acting(tmp_path, sold, plan="sold") as server:
        for text, more, words, tags in TAGGED:
            with subtests.test(text):
                answer = await server.speech(text, **{"voice": "Ana", "response_format": "wav", **more})
                assert answer.status_code == 200, answer.text
                (row,) = [row for row in await server.usage() if row.id == answer.headers["x-request-id"]]
                assert answer.headers["x-voxgate-voice"] == row.voice
                assert felt(answer.content) == Felt(words, tags)
                # A tag is charged as any other character is.
                assert (row.characters, row.credits) == (len(text), 2_000_000 * len(text))


async def test_a_cast_has_an_emotion_for_a_turn(tmp_path: Path) -> None:
    text = "[Me] Hi. [happy] Ho! [You] Hm. [happy] Hey. [Me] Bye. [sad] Oh."
    cast = {"cast": {"Me": "Ana", "You": "alloy"}}
    async with acting(tmp_path) as server:
        found = await said(server, text, voice=cast)
        with_name = await said(server, "[Happy] Hi. [sad] Ho.", voice={"cast": {"Happy": "Ana"}})
    # The other one has no recordings: in its turn, the tag is left out.
    assert found == Felt("Hi. Ho! Hm. Hey. Bye. Oh.", ("", "happy", "", "sad"))
    assert with_name == Felt("Hi. Ho.", ("", "sad"))


async def test_a_mix_expresses_what_all_its_recorded_voices_do(tmp_path: Path) -> None:
    async with acting(tmp_path) as server:
        await add_felt(server, "Bea", ("", "happy"))
        mix = {"mix": [{"id": "Ana"}, {"id": "Bea"}]}
        assert await said(server, "[happy] Hi. [sad] Ho.", voice=mix) == Felt("Hi. Ho.", ("happy",))
        status, param, _, message = await refusal(server, "Hi.", voice=mix, emotion="sad")
    assert (status, param, message.endswith("it knows: happy.")) == (400, "emotion", True)


@each_row("text", ["[happy]", " [happy] ... [sad] !?", "[happy] " * 500])
async def test_a_text_of_tags_alone_is_refused(tmp_path: Path, text: str) -> None:
    async with acting(tmp_path) as server:
        status, param, code, message = await refusal(server, text)
        cast = await refusal(server, f"[Me] {text}"[:4096], voice={"cast": {"Me": "Ana"}})
        assert await server.usage() == []
    assert (status, param, code) == (400, "input", "invalid_value")
    assert "only tags" in message
    assert cast[:3] == (400, "input", "invalid_value")


async def test_two_emotions_never_share_a_clip_or_a_plan(tmp_path: Path) -> None:
    asked = [
        ("Hello.", {}),
        ("Hello.", {"emotion": "happy"}),
        ("Hello.", {"emotion": "sad"}),
        ("[happy] Hello.", {}),
        ("[sad] Hello.", {}),
        ("[angry] Hello.", {}),
    ]
    tags = ["", "happy", "sad", "happy", "sad", ""]
    async with acting(tmp_path) as server:
        for cached in ("miss", "hit"):
            for (text, more), tag in zip(asked, tags, strict=True):
                body = {"voice": "Ana", "response_format": "wav", "cache": True, **more}
                answer = await server.speech(text, **body)
                assert answer.headers["x-voxgate-cache"] == cached, (text, more)
                assert felt(answer.content).tags == (tag,)
        # No part of it is spoken in the emotion of the request.
        answer = await server.speech(
            "[sad] Hello.", voice="Ana", emotion="happy", cache=True, response_format="wav"
        )
        assert (answer.headers["x-voxgate-cache"], felt(answer.content).tags) == ("hit", ("sad",))
        # A plan of a text without tags is used for many; one with a tag is not among them.
        for text, tag in (("Hi.", ""), ("[happy] Hi.", "happy"), ("Ho.", ""), ("[sad] Ho.", "sad")):
            assert (await said(server, text)).tags == (tag,)


async def test_words_are_where_they_were_sent(tmp_path: Path) -> None:
    text = "So. [happy] Good news, **everyone**! [sad] Or not."
    async with acting(tmp_path) as server:
        answer = await server.speech(text, voice="Ana", response_format="json")
        events = await server.speech(text, voice="Ana", stream_format="words", response_format="pcm")
    words = answer.json()["words"]
    assert [text[each["source_start"] : each["source_end"]] for each in words] == [
        *("So.", "Good", "news,", "everyone**!", "Or", "not."),
    ]
    starts = [each["start_seconds"] for each in words]
    assert starts == sorted(starts)
    told = [
        word
        for line in events.text.splitlines()
        if line.startswith("data: {") and "speech.audio.words" in line
        for word in msgspec.json.decode(line.removeprefix("data: "))["words"]
    ]
    assert [(each["source_start"], each["source_end"]) for each in told] == [
        (each["source_start"], each["source_end"]) for each in words
    ]


async def test_a_model_gets_its_own_emotions_in_the_job_and_others_as_recordings(tmp_path: Path) -> None:
    able = Scripted(*spoken(0.2), speaks_samples=True, emotions=("happy",))
    config = '[engines.able]\n[models]\nable = ["able/m"]\n'
    async with inside(tmp_path, TONE.replace("[models]", config), {"able": able}) as server:
        await add_felt(server, "Ana")
        for emotion in ("happy", "sad", None):
            assert (await server.speech(voice="Ana", model="able", emotion=emotion)).status_code == 200
        answer = await server.speech("[happy] Hi. [sad] Ho. [neutral] Hm.", voice="Ana", model="able")
        assert answer.status_code == 200, answer.text
    given = [(job.emotion, [each.tag for each in job.voice.samples]) for job in able.jobs]  # type: ignore[union-attr]  # only recordings are asked for
    assert given == 2 * [("happy", [""]), (None, ["sad"]), (None, [""])]


class Moody(Scripted):
    """It whispers softly and shouts loudly."""

    async def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        gain = {"whisper": 0.1, "shout": 1.5}.get(job.emotion or "", 0.5)
        async for event in super().speak(job):
            if isinstance(event, Audio):
                samples = np.frombuffer(event.pcm, "<i2") * gain
                event = Audio(event.segment, samples.astype("<i2").tobytes())
            yield event


async def test_each_emotion_of_a_model_is_as_loud_as_the_others(tmp_path: Path) -> None:
    moody = Moody(*spoken(2.0), emotions=("whisper", "shout"))
    config = '[engines.moody]\n[models]\nmoody = ["moody/m"]\n'
    async with inside(tmp_path, TONE.replace("[models]", config), {"moody": moody}) as server:
        text = "One. [whisper] Two. [shout] Three. [neutral] Four."
        body = {"voice": "moody/v", "model": "moody", "response_format": "pcm"}
        answers = [decoded((await server.speech(text, **body)).content, "pcm").samples for _ in range(2)]
    for samples in answers:
        levels = [float(np.sqrt(np.mean(part**2))) for part in np.split(samples, 4)]
        assert max(levels) < 1.1 * min(levels), levels


async def test_minimax_gets_the_emotion_of_each_part(tmp_path: Path) -> None:
    config = '[engines.mm]\n[models]\nmm = ["mm/speech-2.8-hd"]\n'
    text = "Well. [happy] Hi! [whisper] Hush. [Fearful] Oh."
    async with (
        minimax.rig() as rig,
        inside(tmp_path, TONE.replace("[models]", config), {"mm": rig.engine}) as server,
    ):
        answer = await server.speech(text, voice=f"mm/{minimax.VOICE}", model="mm", response_format="wav")
        assert answer.status_code == 200, answer.text
        (row,) = await server.usage()
    sent = [(body["voice_setting"].get("emotion"), body["text"]) for body in rig.bodies()]
    # This model cannot whisper.
    assert sent == [(None, "Well."), ("happy", "Hi! Hush."), ("fearful", "Oh.")]
    assert decode(*decoded(answer.content, "wav")) == tuple(said for _, said in sent)
    assert row.characters == len(text)


async def test_elevenlabs_reads_its_tags_itself(tmp_path: Path) -> None:
    config = f'[engines.el]\n[models]\nv3 = ["el/eleven_v3"]\nel = ["el/{elevenlabs.MODEL}"]\n'
    text = "[excited] Hello. [laughs] Bye."
    async with (
        elevenlabs.rig() as rig,
        inside(tmp_path, TONE.replace("[models]", config), {"el": rig.engine}) as server,
    ):
        for model, ignored in (("v3", None), ("el", "emotion")):
            answer = await server.speech(text, voice=f"el/{elevenlabs.VOICE}", model=model)
            assert answer.status_code == 200, answer.text
            assert answer.headers.get("x-voxgate-ignored") == ignored
    assert [body["text"] for body in rig.bodies()] == [text, "Hello. [laughs] Bye."]
