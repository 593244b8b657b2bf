"""Judge whether a recording says the words of a consent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from speech_engine.text.comparing import (
    NEAR,
    Evidence,
    Sounds,
    WordRun,
    compare,
    count_surplus_words,
    distance,
    sounds_of,
)
from speech_engine.text.said import words_of

MATCH, DIFFERS = 0.8, 0.5
"""The parts of the phrase's words that were heard, in order."""

MOST_TOO_MANY = 2
_NEAR_NAME = 0.5
"""The part of the name's sounds that may differ."""

_NEGATIONS = {
    language: frozenset(words_of(words).tokens)
    for language, words in {
        "en": "not no never cannot nor neither none nobody without refuse deny decline object oppose forbid "
        "revoke withdraw disagree dissent reject prohibit",
        "es": "no nunca jamás ni tampoco sin ninguno nadie niego deniego rechazo revoco retiro prohíbo "
        "opongo",
        "fr": "ne n pas non jamais ni sans aucun aucunement nullement refuse interdis révoque retire oppose",
        "hi": "नहीं नही न ना मत कभी बिना इनकार इंकार अस्वीकार मनाही मना",
        "it": "non no mai né neanche senza nessuno rifiuto nego revoco ritiro vieto oppongo",
        "pt": "não nunca jamais nem tampouco sem nenhum ninguém recuso nego revogo proíbo desautorizo oponho",
    }.items()
}
"""The words that turn a consent round. In other languages only the phrase itself is a match."""

_CONSENTS = frozenset(words_of("consent doy consentimiento j'autorise सहमति acconsento autorizo").tokens)
"""The words of the phrases without which nobody consents."""


class ConsentWords(NamedTuple):
    """What a recording says of a consent's phrase. `share` is the part of its words that were heard."""

    words: Literal["match", "differs", "unsure"]
    share: float


def judge_consent(
    phrase: str,
    transcript: str,
    language: str,
    operator: str,
    sounds: Sounds | None,
    *,
    is_reliable: bool = True,
) -> ConsentWords:
    """Judge what was heard of a phrase. The operator's name in it may be heard as what is near in sound.

    If the language is not heard reliably, only the whole phrase is a match, and nothing differs for sure.
    A phrase that was turned round differs, however few its other words are.
    """
    runs = compare(phrase, transcript, language, Evidence(sounds)).runs
    spoken, name = words_of(phrase).tokens, words_of(operator).tokens
    begins = [at for at in range(len(spoken)) if name and spoken[at : at + len(name)] == name]
    named = [run for run in runs if any(_overlaps(run, at, at + len(name)) for at in begins)]
    others = tuple(run for run in runs if run not in named or not _is_near(run, name, sounds))
    share = 1 - sum(len(run.wanted) for run in others) / max(1, len(spoken))
    negations = _NEGATIONS.get(language.partition("-")[0].lower())
    if negations is None:
        return ConsentWords("unsure" if runs or not spoken else "match", share)
    is_turned = any(_denies(run.wanted, negations) != _denies(run.transcribed, negations) for run in runs)
    if spoken and not others and not is_turned:
        return ConsentWords("match", share)
    if not is_reliable:
        return ConsentWords("unsure", share)
    if share < DIFFERS or is_turned:
        return ConsentWords("differs", share)
    lost = {word for run in others for word in run.wanted}
    is_whole = count_surplus_words(others) <= MOST_TOO_MANY and not any(run in others for run in named)
    is_whole = is_whole and not lost & _CONSENTS
    return ConsentWords("match" if is_whole and share >= MATCH else "unsure", share)


def _overlaps(run: WordRun, begin: int, end: int) -> bool:
    return run.at < end and begin < run.at + len(run.wanted)


def _is_near(run: WordRun, name: Sequence[str], sounds: Sounds | None) -> bool:
    """Return whether a run with the name, or a part of it, was heard about so."""
    if sounds is None or not run.transcribed:
        return False
    wanted, other, whole = (sounds_of(words, sounds) for words in (run.wanted, run.transcribed, name))
    part = distance(wanted, other)
    # Other words of the run may not hide that the name is another one.
    return part <= NEAR and part * len(wanted) <= _NEAR_NAME * len(whole)


def _denies(words: Sequence[str], negations: frozenset[str]) -> bool:
    """Return whether one of the words is a negation."""
    return any(word.endswith("n't") or not negations.isdisjoint((word, *word.split("'"))) for word in words)
