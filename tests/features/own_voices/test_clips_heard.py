"""What was spoken with a clip goes with it: streams, the cache and kept answers. The voice goes on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from proxy.features.own_voices.saved_voices import SavedVoices
from speech_engine import Finished, Started
from speech_engine.values import find_samples
from tests import speech_clips
from tests.features.erasure import erasing
from tests.features.erasure.erasing import Told, answers, indexed
from tests.features.own_voices.test_clips import added
from tests.proxy.api.inside import Inside, envelope, inside
from tests.proxy.api.owning import clone
from tests.proxy.api.scripted import Halt, Scripted, sound, spoken

pytestmark = pytest.mark.slow

CONFIG = """
[server]
idempotency_mb = 16
[cache]
on = true
[engines.all]
[engines.read]
[models]
all = ["all/m"]
read = ["read/m"]
"""
TEXT = "Good morning."


@asynccontextmanager
async def speaking(
    folder: Path, every: Scripted, reading: Scripted
) -> AsyncIterator[tuple[Inside, str, str]]:
    """A server, a voice, and a clip of it: `all` gets both recordings, `read` only that with its words."""
    async with inside(folder, CONFIG, {"all": every, "read": reading}) as server:
        voice = (await clone(server, ref_text=speech_clips.TEXT))["id"]
        yield server, voice, (await added(server, voice))["id"]


def engines(*script: object) -> tuple[Scripted, Scripted]:
    steps = script or tuple(spoken(0.2))
    return (
        Scripted(*steps, speaks_samples=True, is_local=True),  # type: ignore[arg-type]  # steps
        Scripted(*steps, speaks_samples=True, is_local=True, needs_sample_text=True),  # type: ignore[arg-type]
    )


def body(model: str, voice: str, **more: object) -> dict[str, object]:
    return {"model": model, "voice": voice, "input": TEXT, "response_format": "pcm", **more}


async def test_a_stream_with_the_clip_ends_and_one_without_it_goes_on(tmp_path: Path) -> None:
    may_go_on = asyncio.Event()
    every, reading = engines(Started(24_000), *sound(1.0), may_go_on.wait, *sound(1.0), Finished())
    async with speaking(tmp_path, every, reading) as (server, voice, clip):
        heard = [asyncio.Event(), asyncio.Event()]
        streams = []
        for model, begun in zip(("all", "read"), heard, strict=True):

            async def note(message: object, begun: asyncio.Event = begun) -> None:
                del message
                begun.set()

            request = server.raw_speech(body(model, voice, cache=False), on_sent=note)
            streams.append(asyncio.create_task(request))
        for begun in heard:
            await begun.wait()
        assert [len(find_samples(each.jobs[0].voice)) for each in (every, reading)] == [2, 1]
        told = Told(server)
        gone = asyncio.create_task(server.ask("DELETE", f"/v1/audio/voices/{voice}/samples/{clip}"))
        await told.was_told.wait()
        may_go_on.set()
        with_it, without = await asyncio.gather(*streams)
        assert (await gone).status_code == 200
        assert all(message.get("more_body", True) for message in with_it), "broken off"
        assert not without[-1]["more_body"], "whole"
        outcomes = sorted([(row.outcome, row.error) for row in await server.usage()])
        assert outcomes == [("failed", "voice_not_found"), ("finished", None)]
        # The next one is spoken with what is left.
        later = await server.ask("POST", "/v1/audio/speech", body=body("all", voice))
        assert later.status_code == 200
        assert len(find_samples(every.jobs[-1].voice)) == 1


async def test_what_was_kept_of_the_clip_is_gone(tmp_path: Path) -> None:
    async with speaking(tmp_path, *engines()) as (server, voice, clip):
        for model in ("all", "read"):
            headers = {"idempotency-key": model}
            answer = await server.ask("POST", "/v1/audio/speech", body=body(model, voice), **headers)
            assert answer.status_code == 200, answer.text
        await erasing.stored(tmp_path, 2)
        assert (await indexed(server, clip), await indexed(server, voice), len(answers(tmp_path))) == (
            1,
            2,
            2,
        )
        gone = await server.ask("DELETE", f"/v1/audio/voices/{voice}/samples/{clip}")
        assert gone.status_code == 200
        # What the voice spoke as it was is no use any more, but only what the clip spoke is erased.
        assert (await indexed(server, clip), erasing.sound(tmp_path), len(answers(tmp_path))) == (0, [], 1)
        again = await server.ask(
            "POST", "/v1/audio/speech", body=body("read", voice), **{"idempotency-key": "read"}
        )
        assert again.headers["x-voxgate-replayed"] == "true"


async def test_speech_under_way_is_not_kept(tmp_path: Path) -> None:
    halt = Halt()
    async with speaking(tmp_path, *engines(Started(24_000), *sound(0.3), halt, Finished())) as (
        server,
        voice,
        clip,
    ):
        headers = {"idempotency-key": "order-1"}
        stream = asyncio.create_task(server.raw_speech(body("all", voice), headers=headers))
        await halt.is_there.wait()
        told = Told(server)
        gone = asyncio.create_task(server.ask("DELETE", f"/v1/audio/voices/{voice}/samples/{clip}"))
        await told.was_told.wait()
        halt.goes_on.set()
        assert (await gone).status_code == 200
        assert all(message.get("more_body", True) for message in await stream)
    assert (answers(tmp_path), erasing.sound(tmp_path)) == ([], [])


async def test_a_mix_speaks_with_the_clips_of_its_voices(tmp_path: Path) -> None:
    every = Scripted(*spoken(0.2), speaks_samples=True, is_local=True, mixes=True, most_mixed=2)
    async with speaking(tmp_path, every, engines()[1]) as (server, voice, clip):
        other = (await clone(server, "Ben"))["id"]
        mix = {"mix": [{"id": voice}, {"id": other}]}
        answer = await server.ask("POST", "/v1/audio/speech", body=body("all", voice) | {"voice": mix})
        assert answer.status_code == 200, answer.text
        await erasing.stored(tmp_path, 1)
        assert await indexed(server, clip) == 1
        await server.ask("DELETE", f"/v1/audio/voices/{voice}/samples/{clip}")
        assert erasing.sound(tmp_path) == []


async def test_a_library_that_is_read_again_opens_no_clip_again(tmp_path: Path) -> None:
    async with speaking(tmp_path, *engines()) as (server, voice, _):
        context = server.worker.open_features.context
        saved = context.own_voices
        assert isinstance(saved, SavedVoices)
        (before,) = await saved.of_account(server.account.id)
        again = await saved.of_account(server.account.id, {voice: before})
        assert again[0] is before


async def test_of_two_emotions_the_stream_of_one_ends_with_its_clip(tmp_path: Path) -> None:
    may_go_on = asyncio.Event()
    every, _ = engines(Started(24_000), *sound(1.0), may_go_on.wait, *sound(1.0), Finished())
    async with inside(tmp_path, CONFIG, {"all": every, "read": Scripted()}) as server:
        voice = (await clone(server))["id"]
        clip = (await added(server, voice, emotion="sad"))["id"]
        streams = []
        for more in ({"emotion": "sad"}, {}):
            begun = asyncio.Event()

            async def note(message: object, begun: asyncio.Event = begun) -> None:
                del message
                begun.set()

            asked = body("all", voice, cache=False, **more)
            streams.append(asyncio.create_task(server.raw_speech(asked, on_sent=note)))
            await begun.wait()
        assert [[each.tag for each in find_samples(job.voice)] for job in every.jobs] == [["sad"], [""]]
        told = Told(server)
        gone = asyncio.create_task(server.ask("DELETE", f"/v1/audio/voices/{voice}/samples/{clip}"))
        await told.was_told.wait()
        may_go_on.set()
        sad, neutral = await asyncio.gather(*streams)
        assert (await gone).status_code == 200
        assert sad[-1].get("more_body", True), "broken off"
        assert not neutral[-1]["more_body"], "whole"
        refused = await server.ask("POST", "/v1/audio/speech", body=body("all", voice, emotion="sad"))
        assert (refused.status_code, envelope(refused)["param"]) == (400, "emotion")
