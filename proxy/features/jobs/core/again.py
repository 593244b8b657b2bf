"""Builds the fields of a job that speaks a part of an ended job again, and takes over its other clips."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from policies.lexicon import MOST_INLINE_WORDS, Words
from policies.text_tags import MOST_NAME_CHARACTERS, MOST_NAMES, name_key
from proxy.errors import InvalidRequest
from proxy.feature import RevisionContext
from proxy.features.jobs.core.choice import Only, chosen_chapters
from proxy.features.jobs.core.fields import SourceJob, StepFields
from proxy.features.jobs.core.records import MOST_WANTED
from proxy.features.jobs.core.uploads import FileId
from proxy.speech import speech_request
from proxy.speech.speech_body import WORD, SpokenForm, VoiceName
from speech_engine.redacted import Redacted

_F = TypeVar("_F", bound=StepFields)

MOST_BODY_BYTES = 1024 * 1024
"""It is enough for all words and steps, even if each letter is escaped."""
_MOST_STEPS = 1000
"""With their digits, they and all words are below `MOST_STRUCTURE`. `only` chooses more."""


class AgainBody(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """What is said again: chapters, steps, and all that changes by other words or voices. With `preview`, the
    answer is its price, and no job is made. With `keep_words`, the account's lexicon gets the words."""

    only: Only | None = None
    steps: Annotated[
        tuple[Annotated[int, Meta(ge=1, le=MOST_WANTED)], ...],
        Meta(max_length=_MOST_STEPS, description=f"a list of up to {_MOST_STEPS} numbers of steps"),
    ] = ()
    words: (
        Annotated[
            dict[str, SpokenForm],
            Meta(
                description=f'up to {MOST_INLINE_WORDS} entries {{"word": "spoken"}}',
                extra_json_schema={"maxProperties": MOST_INLINE_WORDS, **WORD},  # WORD limits the keys
            ),
        ]
        | None
    ) = None
    cast: (
        Annotated[
            dict[Annotated[str, Meta(max_length=MOST_NAME_CHARACTERS)], VoiceName],
            Meta(max_length=MOST_NAMES, description="voices by the names of the job's cast"),
        ]
        | None
    ) = None
    input_file_id: FileId | None = None
    length_s: Annotated[float, Meta(gt=0, le=14_400, description="seconds, up to 14400")] | None = None
    keep_words: Annotated[bool, Meta(description="true or false")] = False
    preview: Annotated[bool, Meta(description="true or false")] = False


def again_fields(fields: _F, source: str, steps: int, body: AgainBody, *, is_dub: bool = False) -> _F:
    """Return the fields of a job that speaks a part of the job `source` again. `fields` and `steps` are those
    of the source. Steps that other words or voices change need no numbers: only clips with the same sound are
    taken over. The caller applies `input_file_id` and `length_s`. Raises InvalidRequest."""
    if not (body.only or body.steps or body.words or body.cast or body.input_file_id or body.length_s):
        raise InvalidRequest(
            "Missing required parameter: what to say again, by 'only', 'steps', 'words' or 'cast'.",
            param="only",
            code="missing_required_parameter",
        )
    for field in ("input_file_id", "length_s"):
        if getattr(body, field) is not None and not is_dub:
            raise InvalidRequest(f"'{field}' is not for this job: it is no dub.", param=field)
    if body.steps and max(body.steps) > steps:
        raise InvalidRequest(
            f"Invalid value for 'steps': the job has {steps} steps.", param="steps", code="step_not_found"
        )
    anew = {*body.steps}
    for number in chosen_chapters(body.only, len(fields.chapters)) if body.only else ():
        chapter = fields.chapters[number - 1]
        if not chapter.first:
            raise InvalidRequest(
                f"Invalid value for 'only': the job has not spoken chapter {number}.",
                param="only",
                code="chapter_not_found",
            )
        anew.update(range(chapter.first, chapter.last + 1))
    words = fields.words
    if body.words:
        words = {**words, **speech_request.checked_words(body.words, "words", MOST_INLINE_WORDS)}
        # The limit is for the words of both jobs together.
        words = {**speech_request.checked_words(words, "words", MOST_INLINE_WORDS)}
    again = SourceJob(source=source, anew=tuple(_ranges(sorted(anew))))
    return replace(fields, words=words, again=again, sent=_recast(fields.sent, body.cast or {}))


async def keep_words(revision: RevisionContext, account: str, language: str, words: Words) -> None:
    """Add words to the account's lexicon of a language. Raises NotAllowed."""
    await revision.context.words.add_words(account, language, words)
    revision.library.forget(account)
    await revision.admin_tools.purges.purge_lexicon(account)


def _ranges(numbers: Iterable[int]) -> Sequence[tuple[int, int]]:
    """Return the first and the last number of each run of consecutive numbers."""
    found = list[tuple[int, int]]()
    for number in numbers:
        first = found.pop()[0] if found and found[-1][1] == number - 1 else number
        found.append((first, number))
    return found


class _Cast(msgspec.Struct, frozen=True):
    cast: dict[str, msgspec.Raw]


def cast_of(sent: dict[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
    """Return the voices of a request's cast by their names. {}: its voice is no cast."""
    try:
        return msgspec.json.decode(sent["voice"], type=_Cast).cast
    except msgspec.DecodeError:
        return {}


def _recast(sent: dict[str, msgspec.Raw], voices: dict[str, str]) -> dict[str, msgspec.Raw]:
    """Return the fields of a request with other voices in its cast. Raises InvalidRequest."""
    if not voices:
        return sent
    cast = cast_of(sent)
    if not cast:
        raise InvalidRequest("'cast' is not for this job: its voice is no cast of its own.", param="cast")
    names = {name_key(name): name for name in cast}
    for name, voice in voices.items():
        if name_key(name) not in names:
            raise InvalidRequest(
                f"Invalid value for 'cast': the job has no speaker '{name[:80]}'.",
                param="cast",
                code="speaker_not_found",
            )
        cast[names[name_key(name)]] = msgspec.Raw(msgspec.json.encode(voice))
    return {**sent, "voice": msgspec.Raw(msgspec.json.encode({"cast": cast}))}
