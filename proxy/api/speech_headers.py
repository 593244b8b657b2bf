"""The headers of a speech answer: its model, voice and language, and whether it is from the cache."""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from itertools import accumulate
from urllib.parse import quote

from policies import text_tags
from proxy.http.connection import RawHeader
from proxy.speech.answer import Answer
from proxy.speech.call import SpeechCall

_MOST_HEADER_CHARACTERS = 1000
"""The most characters of a voice's name. A cast has a long name, and proxies take only a few thousand
characters for all headers."""

WORD_TIMES = "x-voxgate-word-times"
ANSWER_HEADERS = {
    "x-voxgate-engine": "The `engine/model` that spoke; after a fallback, the one that really did.",
    "x-voxgate-voice": "The id of the voice; of a cast, the voices that speak, joined by a plus.",
    "x-voxgate-language": "The language it was spoken in.",
    "x-voxgate-sample-rate": "In Hz.",
    "x-voxgate-cache": "`hit`: the audio is from the cache; `miss`: it was spoken, and the cache may keep "
    "it; `off`: the cache was not asked.",
}
SOME_ANSWER_HEADERS = {
    "x-voxgate-mark": "The inaudible mark in the sound: `spread; key=3f2a91c0`. Without it, there is none.",
    "link": "Where the signed manifest of a marked answer can be had, once the answer is whole, with "
    '`rel="c2pa-manifest"`; not if the manifest is in the file.',
    "x-voxgate-substitute": "The engine's voice that spoke, if the engine lacks the one that was asked for, "
    "or has given it another name already, or is rule-based, and a natural one has the voice.",
    "x-voxgate-voice-from": "The engine's own voice that spoke, as `engine/voice`, if no model speaks with "
    "the requested voice: a second model repeated it in that voice.",
    "x-voxgate-cast-unused": "The names of the cast that the text does not have, if there are any.",
    "x-voxgate-ignored": "The fields of the request that a model which spoke does not follow: "
    "`instructions`, known fields of other servers, and `pitch` if only robots have it; `emotion` if tags in "
    "the text were left out, `route` if no model of the language's route can speak the voice, and another "
    "one of the alias did.",
    "x-voxgate-check": "`heard` or `behind` if the request is checked; `unchecked; language` and the like if "
    "it cannot be.",
    WORD_TIMES: "With the field `word_times`: `heard`, or `interpolated` for times computed from letters.",
    "x-voxgate-replayed": "`true` on an answer from before, given once more to its Idempotency-Key.",
    "x-voxgate-replay-of": "The request that was spoken, on a replay: usage has its id.",
    "x-voxgate-route": "For keys of the role `admin`: the language, where it is known from, the route that "
    "matched, and the candidates in order; failures after routing have it too.",
    "x-ratelimit-limit-requests": "Requests a minute that are allowed, if there is a limit.",
    "x-ratelimit-remaining-requests": "How many of them are left.",
    "x-ratelimit-reset-requests": "When all of them are there again: `12ms`, `59.2s`, `1m0s`.",
}


def answer_headers(answer: Answer, media_type: str) -> tuple[RawHeader, ...]:
    """Return the headers of a good answer."""
    speech, call = answer.speech, answer.call
    voice, language = call.plan.voice_id, call.plan.language
    engine = speech.engine
    headers = _raw_headers(media_type, engine, voice, language, speech.sample_rate_hz, call.totals.cache)
    treatment = call.plan.treatment and call.plan.treatment_of(engine)
    if treatment is not None and treatment.filter is not None:
        headers = (*headers, *treatment.filter.headers)
    if (check := call.plan.check) is not None:
        check_value = f"unchecked; {call.plan.obstacle}" if call.plan.obstacle else check
        headers = (*headers, (b"x-voxgate-check", check_value.encode()))
    for headers_of in answer.observers.headers:
        headers = (*headers, *headers_of())
    if voices := call.totals.announce_substitutes():
        headers = (*headers, (b"x-voxgate-substitute", _header_text(voices).encode()))
    if ", " in engine and (bases := base_voices(call)):
        headers = (*headers, (b"x-voxgate-voice-from", _header_text(bases).encode()))
    if (cast := call.plan.cast) and (unused := text_tags.unused_names(call.request.text, cast)):
        headers = (*headers, (b"x-voxgate-cast-unused", _header_text(", ".join(unused)).encode()))
    request = call.request
    if request.instructions or request.extra or request.ignored:
        return _with_ignored(headers, call)
    for run in call.totals.parts:
        if (run.winner or run.part.candidates[0]).ignores and not run.is_passed_over:
            return _with_ignored(headers, call)
    return headers


def base_voices(call: SpeechCall) -> str:
    """Return the base voices that another model repeats in the requested voice, joined by commas, or ""."""
    return ", ".join(dict.fromkeys(each.base for each in call.totals.speaking_candidates if each.base))


def _with_ignored(headers: tuple[RawHeader, ...], call: SpeechCall) -> tuple[RawHeader, ...]:
    ignored = ", ".join(call.ignored_fields())
    return (*headers, (b"x-voxgate-ignored", ignored.encode())) if ignored else headers


@lru_cache(maxsize=1024)
def _raw_headers(
    media_type: str,
    engine: str,
    voice: str,
    language: str,
    sample_rate_hz: int,
    cache: str,
) -> tuple[RawHeader, ...]:
    headers = (
        ("content-type", media_type),
        ("x-accel-buffering", "no"),
        ("x-voxgate-engine", engine),
        ("x-voxgate-voice", _header_text(voice)),
        ("x-voxgate-language", language),
        ("x-voxgate-sample-rate", str(sample_rate_hz)),
        ("x-voxgate-cache", cache),
    )
    return tuple((name.encode(), value.encode("latin-1", "replace")) for name, value in headers)


def _header_text(name: str) -> str:
    """Return a name in printable ASCII, cut to what a header may have. Engines name voices as they like."""
    if name.isascii() and name.isprintable():
        return name[:_MOST_HEADER_CHARACTERS]
    letters = [quote(letter, safe="/ ") for letter in name]
    return "".join(letters[: bisect_right(list(accumulate(map(len, letters))), _MOST_HEADER_CHARACTERS)])
