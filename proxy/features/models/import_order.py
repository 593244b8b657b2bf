"""The order of an import, and the checks of its values."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from policies.language import tag_matches
from proxy.hosts.stored_models import BrokenModel, ModelRefused, ModelStore
from speech_engine.levels import QUIETEST_LUFS
from speech_engine.licences import bound_by
from speech_engine.model_manifest import Agreement

LICENCE_PATTERN = r"[^\W_][\w .,()+/-]{0,99}"
"""The pattern of a licence's name."""
MOST_LINE_CHARACTERS = 400
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")

GENDERS = ("male", "female")


class ImportOrder(NamedTuple):
    """The folder or file to import, and the facts of the model. `changes_licence` permits another licence
    than before. `genders` and `lufs` are by voice, "" for the only one. If the format does not tell the
    languages, the model has the operator's `languages`, or else `stated_languages`: those of the gallery."""

    source: Path
    engine: str
    name: str
    licence: str
    languages: tuple[str, ...] = ()
    changes_licence: bool = False
    basis: str = ""
    attribution: str = ""
    genders: Mapping[str, str] = MappingProxyType({})
    stated_languages: tuple[str, ...] = ()
    lufs: Mapping[str, float] = MappingProxyType({})
    agreement: Agreement | None = None

    @property
    def bound_by(self) -> str:
        """The licence that counts."""
        return bound_by(self.licence, self.basis)


def judge_names(order: ImportOrder) -> None:
    """Raise ModelRefused for an invalid name of a licence or a language, or an invalid attribution."""
    if not re.fullmatch(LICENCE_PATTERN, order.licence):
        raise ModelRefused(f"--licence: {order.licence[:80]!r} is no name of a licence, such as CPML")
    if order.basis and not re.fullmatch(LICENCE_PATTERN, order.basis):
        raise ModelRefused(f"--basis: {order.basis[:80]!r} is no name of a licence, such as CC-BY-NC-4.0")
    if len(order.attribution) > MOST_LINE_CHARACTERS or not order.attribution.isprintable():
        raise ModelRefused(f"--attribution: at most {MOST_LINE_CHARACTERS} letters, in one line")
    for language in order.languages:
        if not _LANGUAGE.fullmatch(language):
            raise ModelRefused(f"--language: {language[:40]!r} is no language tag, such as th or pt-BR")


def judge_levels(order: ImportOrder, voices: Collection[str]) -> None:
    """Raise ModelRefused for a voice in `lufs` that the model does not have, or an impossible loudness."""
    for voice, lufs in order.lufs.items():
        if voice not in voices:
            raise ModelRefused(f"lufs: the model has no voice {voice[:80]!r}")
        if not QUIETEST_LUFS <= lufs <= 0:
            raise ModelRefused(f"lufs: {voice[:80]!r} must have {QUIETEST_LUFS:g} to 0")


def read_genders(options: Iterable[str]) -> dict[str, str]:
    """Return the genders by speaker, of options such as `ana=female`. `male` alone is for the only speaker,
    "". Raise ModelRefused."""
    genders: dict[str, str] = {}
    for each in options:
        speaker, _, gender = each.rpartition("=")
        if gender not in GENDERS:
            raise ModelRefused(f"--gender: {gender[:40]!r} must be {' or '.join(GENDERS)}")
        genders[speaker] = gender
    return genders


def judge_licence(store: ModelStore, order: ImportOrder, digest: str = "") -> None:
    """Raise ModelRefused if the order's licence differs from that of the current model of this name, or of
    the same files. The licence decides whether a model may speak for money, so a typing error must not change
    it."""
    for model in store.every():
        if isinstance(model, BrokenModel) or order.changes_licence or model.manifest.name != order.name:
            continue
        licence = model.manifest.bound_by
        is_same = licence.casefold() == order.bound_by.casefold()
        if not is_same and (model.is_current or model.manifest.digest == digest):
            raise ModelRefused(
                f"--licence: {order.name} is under {licence} so far; "
                f"add --change-licence if {order.bound_by} is right"
            )


def chosen_languages(order: ImportOrder, known: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of a model's `known` languages that the order names, and all if it names none.

    If `known` is empty, return the order's languages. Raise ModelRefused for a language that the model does
    not have.
    """
    if not known or not order.languages:
        return known or order.languages or order.stated_languages
    chosen = {_match_language(language, known) for language in order.languages}
    return tuple(each for each in known if each in chosen)


def _match_language(language: str, known: tuple[str, ...]) -> str:
    for each in known:
        if tag_matches(each, language):
            return each
    raise ModelRefused(f"--language: this model does not speak {language}; it speaks {', '.join(known)}")
