"""What is asked of ElevenLabs to the letter, and what comes of its answers."""

import pytest

from fakes.elevenlabs.account import SMALL_LIMIT
from fakes.faults import ScriptedFault
from speech_engine import (
    Audio,
    EngineFailed,
    EngineLimited,
    EngineTimeout,
    EngineVoice,
    Finished,
    Mix,
    Pronunciation,
    Started,
    VoiceNotFound,
)
from speech_engine.testing import collect, speaking
from tests.plugins.elevenlabs.rig import (
    MODEL,
    SMALL,
    VOICE,
    asked,
    audio_of,
    heard,
    refused,
    rig,
    until_it_fails,
    words_of,
)
from tests.tables import each_row

TEXTS = ("Hello there, world.", "How are you?")
TEXT = " ".join(TEXTS)
LONG = tuple(f"Sentence number {number} has these words in it." for number in range(9))


async def test_a_job_is_one_request_with_the_least_that_says_all() -> None:
    async with rig() as made:
        events = await collect(made.engine, asked(*TEXTS, language="pt-BR"))
        (seen,) = made.provider.seen
    assert (seen.method, seen.path) == ("POST", f"/v1/text-to-speech/{VOICE}/stream")
    assert seen.query == "output_format=pcm_24000"
    assert seen.headers["xi-api-key"] == "fake-elevenlabs-key"
    assert seen.json == {"text": TEXT, "model_id": MODEL, "language_code": "pt"}
    assert heard(audio_of(events)) == (TEXT,)
    assert events[0] == Started(24_000)


async def test_how_words_sound_is_said_in_tags_that_nobody_hears() -> None:
    told = (
        Pronunciation("Lagos", "ipa", "ˈleɪɡɒs"),
        Pronunciation("New York", "ipa", "nuː jɔːk"),
        Pronunciation("R&B", "ipa", "ɑːr"),
    )
    async with rig() as made:
        spoken = asked(
            "In Lagos, Lagosians.", "New York has R&B.", model="eleven_flash_v2", pronunciations=told
        )
        events = await collect(made.engine, spoken)
        (body,) = made.bodies()
    tagged = '<phoneme alphabet="ipa" ph="ˈleɪɡɒs">Lagos</phoneme>'
    assert body["text"] == f"In {tagged}, Lagosians. New York has R&B."
    assert heard(audio_of(events)) == ("In Lagos, Lagosians. New York has R&B.",)


async def test_everything_that_can_be_said_is_said() -> None:
    async with rig(
        stability=0.25,
        similarity_boost=0.5,
        style=0,
        use_speaker_boost=False,
        text_normalization="off",
        enable_logging=False,
    ) as made:
        await collect(made.engine, asked(TEXT, speed=1.2, seed=2**32 - 1))
        (seen,) = made.provider.seen
    assert seen.query == "output_format=pcm_24000&enable_logging=false"
    assert seen.json == {
        "text": TEXT,
        "model_id": MODEL,
        "language_code": "en",
        "voice_settings": {
            "stability": 0.25,
            "similarity_boost": 0.5,
            "style": 0.0,
            "use_speaker_boost": False,
            "speed": 1.2,
        },
        "seed": 2**32 - 1,
        "apply_text_normalization": "off",
    }


async def test_mp3_is_asked_for_where_it_passes_through_and_nowhere_else() -> None:
    async with rig(mp3="mp3_24000_48") as made:
        events = await collect(made.engine, asked(TEXT, formats=("mp3",)))
        await collect(made.engine, asked(TEXT, formats=("opus",)))
        asked_for = [seen.query for seen in made.provider.seen]
    assert asked_for == ["output_format=mp3_24000_48", "output_format=pcm_24000"]
    assert heard(audio_of(events), "mp3") == (TEXT,)


async def test_mp3_ends_at_the_most_samples_allowed() -> None:
    async with rig(mp3="mp3_24000_48") as made:
        whole = len(audio_of(await collect(made.engine, asked(*LONG, formats=("mp3",)))))
        events = await collect(made.engine, asked(*LONG, formats=("mp3",), max_samples=24_000))
    # One second at 48 000 bits.
    assert len(audio_of(events)) == 6_000 < whole
    assert isinstance(events[-1], Finished)


async def test_a_long_job_is_several_requests_spoken_as_one_stream() -> None:
    async with rig() as made:
        events = await collect(made.engine, asked(*LONG, model=SMALL))
        texts = [body["text"] for body in made.bodies()]
    assert len(texts) == 3
    assert all(len(text) <= SMALL_LIMIT for text in texts)
    assert " ".join(texts) == " ".join(LONG)
    assert heard(audio_of(events)) == tuple(texts)
    assert {event.segment for event in events if isinstance(event, Audio)} == {0, 4, 8}


async def test_no_more_is_asked_for_once_there_is_enough() -> None:
    async with rig() as made:
        events = await collect(made.engine, asked(*LONG, model=SMALL, max_samples=24_000))
        assert len(made.provider.spoken()) == 1
    assert len(audio_of(events)) == 48_000


async def test_units_are_credits_of_all_requests() -> None:
    async with rig() as made:
        *_, last = await collect(made.engine, asked(TEXT, model="eleven_flash_v2_5"))
        *_, several = await collect(made.engine, asked(*LONG, model=SMALL))
    assert last == Finished(units=(len(TEXT) + 1) // 2)
    assert several == Finished(units=len(" ".join(LONG)) - 2)


async def test_words_are_timed_as_they_sound() -> None:
    async with rig(word_times=True) as made:
        spoken = asked(*TEXTS)
        events = await collect(made.engine, spoken)
        (seen,) = made.provider.seen
    assert seen.path == f"/v1/text-to-speech/{VOICE}/stream/with-timestamps"
    seconds = len(audio_of(events)) / 48_000
    expected = [(word, TEXT.index(word) / len(TEXT) * seconds) for word in TEXT.split()]
    told = words_of(spoken, events)
    assert [word for word, _ in told] == [word for word, _ in expected]
    assert [at for _, at in told] == pytest.approx([at for _, at in expected], abs=0.001)
    assert heard(audio_of(events)) == (TEXT,)


@pytest.mark.parametrize("format_", ["pcm", "mp3"])
async def test_words_of_later_requests_count_from_the_jobs_start(format_: str) -> None:
    async with rig(word_times=True) as made:
        spoken = asked(*LONG, model=SMALL, formats=("mp3",) if format_ == "mp3" else ())
        events = await collect(made.engine, spoken)
        texts = [body["text"] for body in made.bodies()]
    told = words_of(spoken, events)
    assert [word for word, _ in told] == " ".join(LONG).split()
    sizes = {"pcm": 48_000, "mp3": 16_000}
    seconds = len(audio_of(events)) / sizes[format_]
    second_begins = seconds * len(texts[0]) / sum(map(len, texts))
    place = len(texts[0].split())
    # A frame of tones is longer than its text by a preamble, and MP3 by its padding.
    assert told[place][1] == pytest.approx(second_begins, abs=0.5)
    later = [at for _, at in told[place - 1 : place + 5]]
    assert later == sorted(set(later))


async def test_no_word_is_told_past_the_most_samples() -> None:
    async with rig(word_times=True) as made:
        spoken = asked(*LONG, max_samples=48_000)
        events = await collect(made.engine, spoken)
    told = words_of(spoken, events)
    assert told
    assert all(at <= 2.0 for _, at in told)
    assert len(audio_of(events)) == 96_000


@each_row("voice", ["a/b?x", "", "..", "naïve", "a" * 129])
async def test_a_voice_that_cannot_stand_in_a_path_is_no_voice(voice: str) -> None:
    async with rig() as made:
        error = await refused(made.engine, asked(TEXT, voice=EngineVoice(voice)))
        assert made.provider.seen == []
    assert isinstance(error, VoiceNotFound)


async def test_a_mix_of_voices_is_not_spoken() -> None:
    async with rig() as made:
        assert isinstance(await refused(made.engine, asked(TEXT, voice=Mix(()))), VoiceNotFound)


async def test_a_voice_that_is_gone_is_not_found() -> None:
    async with rig() as made:
        del made.account.voices[VOICE]
        assert isinstance(await refused(made.engine, asked(TEXT)), VoiceNotFound)


async def test_a_listener_who_leaves_frees_a_place_of_the_account() -> None:
    async with rig() as made:
        made.provider.fail("hang_after", after_bytes=20_000)
        async with speaking(made.engine, asked(*LONG)) as events:
            async for event in events:
                if isinstance(event, Audio):
                    break
        await made.provider.until(lambda: made.provider.open == 0)
        assert made.account.at_once == 0


async def test_no_more_at_once_than_the_account_may() -> None:
    async with rig() as made:
        made.account.most_at_once = 1
        await collect(made.engine, asked(TEXT))
        assert "1 at once" in repr(made.engine)
        made.provider.fail("hang_after", after_bytes=20_000)
        async with speaking(made.engine, asked(TEXT)) as first:
            await anext(first)
            assert isinstance(await refused(made.engine, asked(TEXT)), EngineLimited)
        await made.provider.until(lambda: made.account.at_once == 0)
        assert heard(audio_of(await collect(made.engine, asked(TEXT)))) == (TEXT,)


async def test_silence_is_waited_for_no_longer_than_the_deadline() -> None:
    async with rig() as made:
        made.provider.fail("hang_before")
        assert isinstance(await refused(made.engine, asked(TEXT, deadline_s=0.1)), EngineTimeout)


@each_row(
    ("fault", "word_times"),
    [
        (ScriptedFault(name="truncated", after_bytes=30_000), False),
        (ScriptedFault(name="truncated", after_bytes=30_000), True),
        (ScriptedFault(name="truncated"), False),
        (ScriptedFault(name="error_midstream"), False),
        (ScriptedFault(name="error_midstream"), True),
        (ScriptedFault(name="error_midstream", code="broken"), True),
        (ScriptedFault(name="wrong_codec"), False),
        (ScriptedFault(name="wrong_codec"), True),
        (ScriptedFault(name="error_in_200", code="empty"), False),
        (ScriptedFault(name="error_in_200", code="html:"), False),
        (ScriptedFault(name="error_in_200", code="html:"), True),
    ],
)
async def test_a_broken_answer_is_never_a_whole_one(fault: ScriptedFault, word_times: bool) -> None:
    async with rig(word_times=word_times) as made:
        made.provider.faults.append(fault)
        _, error = await until_it_fails(made.engine, asked(*LONG))
        assert made.provider.spoken()[0].fault == fault.name
        assert heard(audio_of(await collect(made.engine, asked(TEXT)))) == (TEXT,)
    assert isinstance(error, EngineFailed | EngineLimited)


async def test_garbage_in_place_of_lines_is_no_answer() -> None:
    async with rig(word_times=True) as made:
        made.provider.fail("garbage")
        assert isinstance(await refused(made.engine, asked(TEXT)), EngineFailed)


async def test_an_answer_in_drops_is_the_same_answer() -> None:
    async with rig(word_times=True) as made:
        made.provider.fail("slow", piece_bytes=1_001, pause_s=0.0)
        spoken = asked(TEXT)
        events = await collect(made.engine, spoken)
    assert heard(audio_of(events)) == (TEXT,)
    assert [word for word, _ in words_of(spoken, events)] == TEXT.split()
