"""What may be kept, and what equal sound is called."""

from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from proxy.features.cache import rules as caching
from proxy.features.cache.rules import PostUse, SpeakerUse
from speech_engine import EngineVoice, Mix, Sample, Samples
from tests.tables import each_row

SECRET = bytes(range(32))
PART = SpeakerUse(
    start=0,
    end=5,
    language="en",
    voice="ana",
    revision="1",
    model="one/m",
    checkpoint="c",
    engine_voice=EngineVoice("v"),
    credential="",
    front_end="plain",
    front_end_revision="1",
    lexicon="",
    settings=("", ""),
    emotion="sad",
    post=PostUse(
        voice="anna",
        revision="1",
        model="two/m",
        checkpoint="c",
        engine_voice=EngineVoice("a"),
        credential="",
        pitch=0.0,
        settings="",
    ),
)


@each_row(
    ("requested", "planned", "configured", "expected"),
    [
        (None, False, False, False),
        (None, True, False, True),
        (None, False, True, True),
        (True, False, False, True),
        (False, True, True, False),
    ],
)
def test_the_request_has_the_first_word(
    requested: bool | None, planned: bool, configured: bool, expected: bool
) -> None:
    assert caching.uses_cache(requested, planned, configured) is expected


def test_one_answer_may_take_a_quarter_and_a_wait_half() -> None:
    assert caching.patience_s(9.0) == 4.5


@each_row("field", SpeakerUse.__struct_fields__)
def test_any_other_part_is_another_sound(field: str) -> None:
    value = getattr(PART, field)
    changed = msgspec.structs.replace(PART, **{field: _other(value)})
    assert _name(parts=[changed]) != _name(parts=[PART])


@each_row("field", PostUse.__struct_fields__)
def test_whatever_who_repeats_has_otherwise_is_another_sound(field: str) -> None:
    assert PART.post is not None
    post = msgspec.structs.replace(PART.post, **{field: _other(getattr(PART.post, field))})
    assert _name(parts=[msgspec.structs.replace(PART, post=post)]) != _name(parts=[PART])


def _other(value: Any) -> object:
    if isinstance(value, PostUse):
        return None
    if isinstance(value, EngineVoice):
        return EngineVoice(value.id + "x")
    return value + (1 if isinstance(value, int | float) else ("x",) if isinstance(value, tuple) else "x")


def test_accounts_secrets_and_numbers_of_parts_make_other_names() -> None:
    names = [
        _name(),
        _name(account="bob"),
        _name(secret=bytes(32)),
        _name(parts=[]),
        _name(parts=[PART, PART]),
        _name(sound=["text", 1.0]),
        _name(sound=["text", None]),
    ]
    assert len(set(names)) == len(names)
    assert all(len(name) == 64 for name in names)


@given(st.lists(st.text(max_size=8), min_size=1), st.lists(st.text(max_size=8), min_size=1))
def test_texts_that_run_together_are_told_apart(one: list[str], other: list[str]) -> None:
    assert (_name(sound=one) == _name(sound=other)) is (one == other)


def _name(
    secret: bytes = SECRET,
    account: str = "ada",
    sound: Sequence[object] = ("text",),
    parts: Sequence[SpeakerUse] = (PART,),
) -> str:
    return caching.tag(secret, caching.name_without_text(account, sound, parts))


def test_a_voice_of_an_engine_never_has_the_name_of_a_recording_or_a_mix() -> None:
    sample = Samples((Sample("aa"),))
    voices = (
        EngineVoice("aa"),
        EngineVoice("samples:aa"),
        sample,
        Mix(((sample, 1.0),)),
        Mix(((sample, 0.5),)),
    )
    named = {_name(parts=[msgspec.structs.replace(PART, engine_voice=voice)]) for voice in voices}
    assert len(named) == len(voices)
