"""Where an answer is kept: its shelf and its name there, out of all that can be heard in it.

A shelf is a folder for what one account heard by one voice, so that a purge takes folders away and never has
to look into files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec

import proxy
from policies import caching
from policies.caching import SpeakerUse
from proxy.config.sections import Config
from proxy.speech.planning import Part, SpeechPlan
from proxy.speech.speech_request import SpeechRequest

RESOLVED = frozenset({"model", "voice", "cast", "language", "by_sentence", "lexicon"})
"""Fields of a request that the plan has made something exact of; that is what its parts are named by."""

UNHEARD = frozenset({"answer", "cache"})
"""Fields that change how an answer is packed, and not what is heard."""

UNHEARD_OF_PART = frozenset({"estimated_s", "characters", "source", "route"})
"""What of a part is for routing and for the bill."""

_HEARD = tuple(field for field in SpeechRequest.__struct_fields__ if field not in RESOLVED | UNHEARD)

_TAG_DIGITS = 24
_MOST_TAGS = 4096
_SEVERAL = "several"


class CacheQuestion(NamedTuple):
    """An account's request and its plan."""

    account: str
    request: SpeechRequest
    plan: SpeechPlan

    def __repr__(self) -> str:
        return f"<CacheQuestion {self.request!r}>"


class Names:
    """`front_end_revision` tells of a front-end which edition of its rules it is."""

    def __init__(self, secret: bytes, front_end_revision: Callable[[str], str]) -> None:
        self._secret = secret
        self._front_end_revision = front_end_revision
        self._settings: dict[str, str] = {}
        # The same few are asked for again and again.
        self._tag = lru_cache(_MOST_TAGS)(self._new_tag)

    def __repr__(self) -> str:
        return "<Names>"

    def revise(self, config: Config) -> None:
        """An engine that is set otherwise may sound otherwise, and so may a front-end."""
        engines = {name: (each.plugin, each.settings) for name, each in config.engines.items()}
        front_ends = {name: each.settings for name, each in config.front_ends.items()}
        self._settings = {
            f"{kind}/{name}": self._tag("settings", msgspec.msgpack.encode(settings, order="deterministic"))
            for kind, sections in (("engine", engines), ("front-end", front_ends))
            for name, settings in sections.items()
        }

    def clip(self, sought: CacheQuestion, speakers: Sequence[str]) -> str:
        """Of what is heard where these speak the parts, each one an `engine/model` among the part's own."""
        request, parts = sought.request, sought.plan.parts
        voiced = [self._voiced(part, speaker) for part, speaker in zip(parts, speakers, strict=True)]
        # Another version of the server may cut, fit or encode otherwise.
        sound = [proxy.__version__, *(getattr(request, field) for field in _HEARD)]
        return caching.name(self._secret, sought.account, sound, voiced)

    def shelf(self, sought: CacheQuestion) -> str:
        parts = sought.plan.parts
        # The one that was asked for as well: a cast of which one member speaks goes with both.
        voices = {sought.plan.voice.id, *(part.voice.id for part in parts)}
        voice = self._tag("voice", voices.pop().encode()) if len(voices) == 1 else _SEVERAL
        kind = "lexicon" if any(part.lexicon.digest for part in parts) else "plain"
        return f"{self._tag('account', sought.account.encode())}.{voice}.{kind}"

    def is_of_voice(self, account: str | None, voice: str) -> Callable[[str], bool]:
        """Which shelves have something by this voice; where several speak, nobody looks which ones."""
        owner = None if account is None else self._tag("account", account.encode())
        spoken = (self._tag("voice", voice.encode()), _SEVERAL)

        def is_one(shelf: str) -> bool:
            own, by, _ = shelf.split(".")
            return by in spoken and owner in (None, own)

        return is_one

    def is_of_lexicons(self, account: str) -> Callable[[str], bool]:
        owner = self._tag("account", account.encode())
        return lambda shelf: shelf.startswith(f"{owner}.") and shelf.endswith(".lexicon")

    def is_of_account(self, account: str) -> Callable[[str], bool]:
        owner = self._tag("account", account.encode())
        return lambda shelf: shelf.startswith(f"{owner}.")

    def _new_tag(self, kind: str, data: bytes) -> str:
        return caching.tag(self._secret, kind.encode() + b"\0" + data)[:_TAG_DIGITS]

    def _voiced(self, part: Part, speaker: str) -> SpeakerUse:
        candidate = next(each for each in part.candidates if each.model.name == speaker)
        model = candidate.model
        return SpeakerUse(
            start=part.start,
            end=part.end,
            language=part.language,
            voice=part.voice.id,
            revision=part.voice.revision,
            model=model.name,
            checkpoint=model.info.digest,
            engine_voice=candidate.engine_voice,
            front_end=candidate.front_end,
            front_end_revision=self._front_end_revision(candidate.front_end),
            settings=(
                self._settings.get(f"engine/{model.engine}", ""),
                self._settings.get(f"front-end/{candidate.front_end}", ""),
            ),
            lexicon=part.lexicon.digest,
        )
