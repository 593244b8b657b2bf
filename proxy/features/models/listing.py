"""Reads the galleries of all plugins, and finds their models by name, word or language."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import proxy
from policies.descriptions import language_named
from policies.language import base_tag, tag_matches
from proxy.catalogue.catalogue import ModelUse
from proxy.config.reader import names_hint
from proxy.features.models.entries import GalleryEntry, read_gallery
from proxy.hosts.stored_models import ModelRefused
from speech_engine.licences import terms_of
from speech_engine.model_files import ModelFormat

if TYPE_CHECKING:
    from proxy.engines.registry import Registry


FIRST = ("kokoro-voices",)
"""The first models of a new server."""
QUICK = "piper"
"""The plugin whose voices stand in for the first models, where an operator adds them for a language."""


class GalleryModel(NamedTuple):
    """A model of a gallery, with the plugin that uses it and the format of its files."""

    name: str
    plugin: str
    format_: ModelFormat
    entry: GalleryEntry

    @property
    def command(self) -> str:
        """The command that pulls this model, by somebody who has read its licences and its terms."""
        return self.command_of(f"models pull {self.name}", agrees=bool(self.entry.terms))

    def command_of(self, words: str, *, agrees: bool = False) -> str:
        """Return a command that fetches this model, with a placeholder for the token of a gated one. Unless
        it `agrees` to the terms, it shows them and asks."""
        accepts = "".join(f" --accept {shlex.quote(licence)}" for licence in self.entry.to_accept)
        token = f"{self.entry.token.removeprefix('env:')}=… " if self.entry.gated else ""
        return f"{token}voxgate {words}{accepts}{' --agree' if agrees else ''}"


class GalleryFault(NamedTuple):
    """The reason why a plugin's gallery, or one model of it, cannot be used. Other models stay."""

    plugin: str
    reason: str


class Galleries(NamedTuple):
    listed: tuple[GalleryModel, ...]
    faults: tuple[GalleryFault, ...]

    def listed_model(self, name: str) -> GalleryModel:
        """Return an entry. Raise ModelRefused with similar names."""
        for each in self.listed:
            if each.name == name:
                return each
        hint = names_hint(name, [each.name for each in self.listed], "models")
        raise ModelRefused(f"no gallery has a model called {name[:80]!r}. {hint}")

    def search(self, word: str = "", language: str = "", is_paid: bool = False) -> Iterator[GalleryModel]:
        """Yield the models for a word or a language. If `is_paid`, only models that may speak for money."""
        for each in self.listed:
            entry = each.entry
            if word and not _fits_word(each, word.casefold()):
                continue
            if language and not any(tag_matches(tag, language) for tag in entry.languages):
                continue
            if is_paid and not terms_of(entry.bound_by).paid_use:
                continue
            yield each

    def quick_voice(self, tag: str) -> GalleryModel | None:
        """Return the smallest voice that can stand in for the first models in a language, or None. It may be
        sold, and has no terms to accept. In English, hibari stands in."""
        first = [each.entry.languages for each in self.listed if each.name in FIRST]
        if base_tag(tag) == "en" or not any(tag_matches(each, tag) for tags in first for each in tags):
            return None
        found = self.search(language=tag, is_paid=True)
        able = [each for each in found if each.plugin == QUICK and not each.entry.to_accept]
        return min(able, key=lambda each: each.entry.size, default=None)

    def natural_voice(self, tag: str) -> GalleryModel | None:
        """Return the natural model of a language: a first one, or another of its plugin. It may be sold, and
        has no terms to accept."""
        plugins = {each.plugin for each in self.listed if each.name in FIRST}
        found = [each for each in self.search(language=tag, is_paid=True) if not each.entry.to_accept]
        able = [each for each in found if each.plugin in plugins]
        return min(able, key=lambda each: each.name not in FIRST, default=None)

    def command_for(self, tag: str | None, is_paid: bool, use: ModelUse = "recordings") -> str:
        """Return the command that pulls a model for a use in a language, or "". Without a language, it is for
        English."""
        base = base_tag(tag or "en")
        if use == "stand_in":
            return f"voxgate voices natural {base} --quick" if self.quick_voice(base) else ""
        if use == "natural":
            return f"voxgate voices natural {base}" if self.natural_voice(base) else ""
        own = self.own_voice(tag or "en", is_paid)
        return "" if own is None else own.command_of(f"voices own {base}")

    @property
    def own_languages(self) -> list[str]:
        """The languages in which `own_voice` has a model."""
        able = [each.entry.languages for each in self.listed if each.entry.speaks_samples]
        return sorted({base_tag(tag) for tags in able for tag in tags})

    def own_voice(self, tag: str, is_paid: bool = False) -> GalleryModel | None:
        """Return the model that speaks with recorded voices in a language, or None. Those that may speak for
        money come first, then the order of the galleries counts."""
        found = self.search(language=tag, is_paid=is_paid)
        able = sorted(
            (each for each in found if each.entry.speaks_samples),
            key=lambda each: not terms_of(each.entry.bound_by).paid_use,
        )
        return next(iter(able), None)


_OWN_PLUGINS = Path(proxy.__file__).parent.with_name("plugins")


def open_galleries(registry: Registry) -> Galleries:
    """Read the galleries of all plugins that have one. A broken gallery gives a fault, and no exception. If
    two plugins have models of the same name, the first one counts, and voxgate's own plugins come first."""
    listed: dict[str, GalleryModel] = {}
    faults = []
    found = filter(lambda each: each.gallery, registry.plugins("engine").values())
    for plugin in sorted(found, key=lambda each: not _is_own(each.gallery)):
        if plugin.model_format is None:
            faults.append(GalleryFault(plugin.name, f"{plugin.gallery}: it takes no imported model"))
            continue
        try:
            entries = read_gallery(Path(plugin.gallery))
        except ModelRefused as fault:
            faults.append(GalleryFault(plugin.name, str(fault)))
            continue
        for name, entry in entries.items():
            if (first := listed.get(name)) is not None:
                reason = f"{plugin.gallery}: {name}: {first.plugin} has a model of that name"
                faults.append(GalleryFault(plugin.name, reason))
                continue
            listed[name] = GalleryModel(name, plugin.name, plugin.model_format, entry)
    # Models that need no account come first, in searches and in advice.
    return Galleries(tuple(sorted(listed.values(), key=lambda each: each.entry.gated)), tuple(faults))


def _is_own(gallery: str) -> bool:
    return Path(gallery).is_relative_to(_OWN_PLUGINS)


def _fits_word(each: GalleryModel, word: str) -> bool:
    """Tell whether a word is in a model's names, or is a tag or name of its language. Words of one or two
    letters count only as a tag: `en` would be in `spoken`."""
    entry = each.entry
    if (named := language_named(word)) and any(tag_matches(tag, named) for tag in entry.languages):
        return True
    texts = " ".join((each.name, each.plugin, entry.title, entry.description)).casefold()
    is_in_texts = len(word) > 2 and word in texts
    return is_in_texts or any(tag_matches(tag, word) for tag in entry.languages)
