"""Judges whether a recording says the phrase of a consent."""

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

MATCH_SHARE, DIFFERS_SHARE = 0.8, 0.5
"""The least share of the phrase's words that a match must have. With a share below the second number, the
recording differs."""

MOST_EXTRA_WORDS = 2
_MOST_NAME_DISTANCE = 0.5
"""The share of the name's sounds that may differ."""

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
"""Words that reverse the meaning of a consent. In a language without such a list, only the exact phrase is a
match."""

_CONSENT_WORDS = frozenset(words_of("consent doy consentimiento j'autorise सहमति acconsento autorizo").tokens)
"""The words of the phrases that express the consent. A recording without its word is no match."""


class ConsentWords(NamedTuple):
    """The judgement of a recording. `share` is the share of the phrase's words that it says."""

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
    """Judge the transcript of a consent's recording. For the operator's name, words of a similar sound count
    as right.

    If the language is not recognised reliably, only the whole phrase is a match, and no recording "differs".
    A recording whose negations differ from the phrase's "differs", even if all other words are right.
    """
    runs = compare(phrase, transcript, language, Evidence(sounds)).runs
    spoken, name = words_of(phrase).tokens, words_of(operator).tokens
    name_starts = [
        start for start in range(len(spoken)) if name and spoken[start : start + len(name)] == name
    ]
    name_runs = [
        run for run in runs if any(_overlaps(run, start, start + len(name)) for start in name_starts)
    ]
    wrong_runs = tuple(run for run in runs if run not in name_runs or not _is_near(run, name, sounds))
    share = 1 - sum(len(run.wanted) for run in wrong_runs) / max(1, len(spoken))
    negations = _NEGATIONS.get(language.partition("-")[0].lower())
    if negations is None:
        return ConsentWords("unsure" if runs or not spoken else "match", share)
    is_reversed = any(_denies(run.wanted, negations) != _denies(run.transcribed, negations) for run in runs)
    if spoken and not wrong_runs and not is_reversed:
        return ConsentWords("match", share)
    if not is_reliable:
        return ConsentWords("unsure", share)
    if share < DIFFERS_SHARE or is_reversed:
        return ConsentWords("differs", share)
    has_few_extra_words = count_surplus_words(wrong_runs) <= MOST_EXTRA_WORDS
    has_right_name = not any(run in wrong_runs for run in name_runs)
    has_consent_words = not any(_CONSENT_WORDS.intersection(run.wanted) for run in wrong_runs)
    is_whole = has_few_extra_words and has_right_name and has_consent_words
    return ConsentWords("match" if is_whole and share >= MATCH_SHARE else "unsure", share)


def _overlaps(run: WordRun, begin: int, end: int) -> bool:
    return run.at < end and begin < run.at + len(run.wanted)


def _is_near(run: WordRun, name: Sequence[str], sounds: Sounds | None) -> bool:
    """Tell whether the transcribed words of a run, which has a part of the name, sound nearly like the wanted
    ones."""
    if sounds is None or not run.transcribed:
        return False
    wanted, other, whole = (sounds_of(words, sounds) for words in (run.wanted, run.transcribed, name))
    part = distance(wanted, other)
    # The distance is compared with the name alone: a long run could hide that the name is wrong.
    return part <= NEAR and part * len(wanted) <= _MOST_NAME_DISTANCE * len(whole)


def _denies(words: Sequence[str], negations: frozenset[str]) -> bool:
    """Tell whether one of the words is a negation."""
    return any(word.endswith("n't") or not negations.isdisjoint((word, *word.split("'"))) for word in words)
