"""The body of a speech request, as clients write it: its fields, and what each may be.

A field's description is also the text of its 400. The OpenAPI document comes from the same struct.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from policies import mixing, text_tags
from policies.lexicon import MOST_INLINE_WORDS, MOST_SPOKEN_CHARACTERS, MOST_WORD_CHARACTERS
from policies.plans import Terms
from policies.text_tags import EmotionTags
from proxy.audio.formats import FORMATS, RATES_HZ
from proxy.errors import InvalidRequest, NotAllowed
from proxy.speech.usage_tag import Tag
from speech_engine.redacted import Redacted

_VOICE_SCHEMA = {
    "oneOf": [{"type": "string"}, *({"type": "object", "required": [key]} for key in ("id", "cast", "mix"))]
}
CAST_SCHEMA = {
    "minProperties": 1,
    "maxProperties": text_tags.MOST_NAMES,
    "propertyNames": {"maxLength": text_tags.MOST_NAME_CHARACTERS},
}
WORD = {"propertyNames": {"maxLength": MOST_WORD_CHARACTERS}}
SpokenForm = Annotated[str, Meta(extra_json_schema={"maxLength": MOST_SPOKEN_CHARACTERS})]
"""The limits of a lexicon's entries, for the OpenAPI document: their faults are named one by one."""
_WEIGHT_SCHEMA = {"exclusiveMinimum": 0, "maximum": mixing.MOST_WEIGHT}
_MIX_SCHEMA = {"minItems": 1, "maxItems": mixing.MOST_MIXED}
VoiceName = Annotated[str, Meta(min_length=1, max_length=256)]
SampleRate = Annotated[
    Literal[8000, 16000, 22050, 24000, 44100, 48000],
    Meta(description=f"one of {', '.join(map(str, RATES_HZ))}"),
]
Bitrate = Annotated[int, Meta(ge=8, le=320, description="an integer of kbit/s, 8 to 320")]
Pitch = Annotated[float, Meta(ge=-12, le=12, description="a number of semitones from -12 to 12")]
Seed = Annotated[int, Meta(ge=0, le=2**32 - 1, description="an integer from 0 to 4294967295")]


def one_of(names: Collection[str]) -> Meta:
    return Meta(description=f"one of {', '.join(names)}", extra_json_schema={"enum": [*names]})


MANIFEST_FORMATS = ("wav", "mp3", "flac")
"""The formats whose files can hold a signed manifest."""


class MixMember(msgspec.Struct, frozen=True):
    """A voice of a mix. The weights of a mix count in proportion to one another."""

    id: VoiceName
    weight: Annotated[float, Meta(extra_json_schema=_WEIGHT_SCHEMA)] = 1.0


class VoiceReference(msgspec.Struct, frozen=True):
    """One voice by its id; a cast, whose names the input has in brackets, or as `ANA:` at the
    beginning of a line; or a mix."""

    id: VoiceName | UnsetType = UNSET
    cast: Annotated[dict[str, VoiceName], Meta(extra_json_schema=CAST_SCHEMA)] | UnsetType = UNSET
    mix: Annotated[list[MixMember], Meta(extra_json_schema=_MIX_SCHEMA)] | UnsetType = UNSET


class VoiceFields(msgspec.Struct, frozen=True):
    """The voice of a request: exactly one of these fields is set."""

    voice: str = ""
    cast: tuple[tuple[str, str], ...] = ()
    mix: tuple[tuple[str, float], ...] = ()


def read_voice(reference: VoiceReference) -> VoiceFields:
    """Return the voice of a body that is more than a name. Raises InvalidRequest."""
    match (reference.id, reference.cast, reference.mix):
        case (str(id_), msgspec.UNSET, msgspec.UNSET):
            return VoiceFields(id_)
        case (msgspec.UNSET, dict(cast), msgspec.UNSET):
            if (wrong := text_tags.cast_fault([*cast])) is not None:
                raise InvalidRequest(f"Invalid value for 'voice.cast': {wrong}.", param="voice.cast")
            return VoiceFields(cast=tuple(cast.items()))
        case (msgspec.UNSET, msgspec.UNSET, list(mix)):
            return VoiceFields(mix=mix_shares(mix, "voice.mix"))
    raise InvalidRequest("Invalid value for 'voice': it must have one of id, cast and mix.", param="voice")


def mix_shares(mix: Sequence[MixMember], field: str) -> tuple[tuple[str, float], ...]:
    """Check a mix, and return it with weights that add up to 1. Raises InvalidRequest."""
    members = [(member.id, member.weight) for member in mix]
    if (wrong := mixing.mix_fault(members)) is not None:
        raise InvalidRequest(f"Invalid value for '{field}': {wrong}.", param=field)
    return mixing.normalise_weights(members)


MAX_INPUT = 4096
LONGER = " Jobs take longer texts."
FORMAT_NAMES = (*FORMATS, "json")
_LENGTH = {"maxLength": MAX_INPUT}
"""For the OpenAPI document. A longer text is refused later, in OpenAI's own words and code."""


class SpeechBody(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """The body of POST /v1/audio/speech. Keys that are not listed are ignored."""

    model: Annotated[VoiceName, Meta(description="the id of a model, see GET /v1/models")]
    input: Annotated[
        str,
        Meta(min_length=1, description=f"a text of 1 to {MAX_INPUT} characters", extra_json_schema=_LENGTH),
    ]
    input_type: Annotated[Literal["text", "ssml"], Meta(description="text or ssml")] = "text"
    voice: Annotated[
        VoiceName | VoiceReference,
        Meta(
            description='the id or name of a voice, or {"id": "…"}, see GET /v1/audio/voices, or a cast: '
            '{"cast": {"Ana": "nova", "Ben": "onyx"}}, or a mix: '
            '{"mix": [{"id": "nova", "weight": 2}, {"id": "onyx", "weight": 1}]}',
            extra_json_schema=_VOICE_SCHEMA,
        ),
    ]
    instructions: (
        Annotated[str, Meta(description="a text of up to 4096 characters", extra_json_schema=_LENGTH)] | None
    ) = None
    response_format: Annotated[str, one_of(FORMAT_NAMES)] = "mp3"
    audio_format: Annotated[str, one_of(FORMATS)] = "mp3"
    sample_rate: SampleRate | None = None
    bitrate: Bitrate | None = None
    speed: Annotated[float, Meta(ge=0.25, le=4.0, description="a number from 0.25 to 4.0")] = 1.0
    stream_format: Annotated[
        Literal["audio", "sse", "words"], Meta(description="one of audio, sse, words")
    ] = "audio"
    language: Annotated[
        str,
        Meta(
            # Not `$`, which lets a line feed through: the tag goes into a header of the answer.
            pattern=r"^([A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*|[Aa][Uu][Tt][Oo]|)\Z",
            max_length=35,
            description="a language tag such as en, pt-BR or es-419, or auto",
        ),
    ] = ""
    pitch: Pitch = 0.0
    emotion: (
        Annotated[str, Meta(min_length=1, max_length=64, description="a text of 1 to 64 characters")] | None
    ) = None
    emotion_tags: Annotated[EmotionTags, Meta(description="drop, refuse or text")] = "drop"
    seed: Seed | None = None
    lexicon: (
        Annotated[
            Annotated[str, Meta(extra_json_schema={"maxLength": 64})]
            | Annotated[
                dict[str, SpokenForm], Meta(extra_json_schema={"maxProperties": MOST_INLINE_WORDS, **WORD})
            ],
            Meta(
                description="a lexicon's name, none, or up to "
                f'{MOST_INLINE_WORDS} entries {{"word": "spoken"}}'
            ),
        ]
        | None
    ) = None
    markdown: Annotated[Literal["auto", "off", "on"], Meta(description="auto or off; on means auto")] = "auto"
    code: Annotated[Literal["skip", "read"], Meta(description="skip or read")] = "skip"
    cache: Annotated[bool, Meta(description="true or false")] | None = None
    provenance: Annotated[Literal["c2pa"], Meta(description="c2pa")] | None = None
    background: Annotated[bool, Meta(description="true or false")] | None = None
    history: Annotated[bool, Meta(description="true or false")] | None = None
    check: (
        Annotated[Literal["heard", "behind", "off"], Meta(description="one of heard, behind, off")] | None
    ) = None
    on_wrong: Annotated[Literal["send", "fail"], Meta(description="send or fail")] = "send"
    word_times: Annotated[Literal["heard"], Meta(description="heard")] | None = None
    tag: Tag | None = None


def check_text(body: SpeechBody) -> None:
    """Refuse a text that is too long, or blank. Raises InvalidRequest."""
    for name, text in (("input", body.input), ("instructions", body.instructions or "")):
        if len(text) > MAX_INPUT:
            raise InvalidRequest(
                f"Invalid '{name}': string too long. Expected a string with maximum length {MAX_INPUT}, "
                f"but got a string with length {len(text)} instead.{LONGER if name == 'input' else ''}",
                param=name,
                code="string_above_max_length",
            )
    if not body.input.strip():
        raise InvalidRequest(
            "Invalid 'input': it must have something to say, not only blanks.", param="input"
        )


def check_provenance(answer: str, format_: str) -> None:
    """Refuse an answer that has no place for a manifest. Raises InvalidRequest."""
    if answer in ("sse", "words"):
        what = f"stream_format {answer}: a file has its manifest only when it is whole"
    elif format_ not in MANIFEST_FORMATS:
        what = f"{format_}, but with {', '.join(MANIFEST_FORMATS)}"
    else:
        return
    raise InvalidRequest(
        f"'provenance' cannot be c2pa with {what}. The header Link of marked answers names a manifest beside "
        "the audio.",
        param="provenance",
    )


def check_length(text: str, terms: Terms) -> None:
    """Raise NotAllowed for a text that is longer than the terms allow."""
    if terms.max_characters is None or len(text) <= terms.max_characters:
        return
    is_key = terms.key.max_characters is not None and terms.key.max_characters == terms.max_characters
    whose = "This key" if is_key else f"Your plan '{terms.plan}'"
    raise NotAllowed(
        f"{whose} takes texts of up to {terms.max_characters} characters; this one has {len(text)}."
        f"{'' if terms.job_characters == 0 else LONGER}",
        param="input",
        code="text_too_long",
    )
