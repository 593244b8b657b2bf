"""The plans of recent requests without their texts, reused for other texts."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from weakref import ReferenceType, ref

import msgspec
from msgspec.structs import replace

from policies import estimate
from policies.language import LanguageChoice
from policies.plans import Terms
from policies.routing import Voice
from policies.text_tags import find_tags
from proxy.access.callers import Caller
from proxy.catalogue.catalogue import Catalogue
from proxy.catalogue.library import AccountLibrary
from proxy.speech.call import OpenObserver, SpeechCall, Totals
from proxy.speech.planning import Planner, SpeechPlan, wanted_check
from proxy.speech.source import Source
from proxy.speech.speech_body import check_length
from proxy.speech.speech_request import UNPLANNED, SpeechRequest

_MOST_STORED = 2000
_MOST_LANGUAGES = 8
_MOST_EXTRA = 4096
"""The most characters of engine-specific fields in a request whose plan is stored."""

ObserverFactory = Callable[[SpeechRequest, SpeechPlan], OpenObserver | None]
"""Returns the opener of an observer for this plan, or None. It reads no field that is `UNPLANNED`."""


class _Pattern(msgspec.Struct, frozen=True):
    """A plan without its text, the openers of its observers, and the name of its clip without the text."""

    plan: SpeechPlan
    openers: tuple[OpenObserver, ...]
    clip: bytes | None

    def plan_for(self, request: SpeechRequest) -> SpeechPlan:
        (part,) = self.plan.parts
        length, estimated_s = len(request.text), estimate.speech_seconds(request.text, request.speed)
        spoken = replace(part, end=length, characters=length, estimated_s=estimated_s)
        return replace(self.plan, parts=(spoken,), estimated_s=estimated_s)


class _Recent(msgspec.Struct, frozen=True, eq=False):
    """The plans of a request, by the language of the text, with the inputs that are not part of the key. It
    has no reference to a library: see `_forget_with`."""

    terms: Terms
    own: ReferenceType[AccountLibrary]
    revision: int
    voice: Voice
    patterns: dict[LanguageChoice, _Pattern]

    def is_for(self, terms: Terms, own: AccountLibrary, revision: int) -> bool:
        return self.terms is terms and self.own() is own and self.revision == revision


_Key = tuple[str, SpeechRequest]


class RecentPlans:
    """Plans calls, for one revision of the configuration.

    In most requests, the text only changes the language, the length and the name of the clip. The rest of a
    plan is reused for the same account and request, with the identical terms and library, while the catalogue
    is the same. Terms and libraries are looked up every five seconds, and become other objects after a
    change. So an account never profits from its former rights. A plan has the path of a clip, and does not
    know whether it exists.

    A library may be large and have erased voices, so its plans do not keep it alive, and are removed with it.
    """

    def __init__(
        self,
        planner: Planner,
        catalogue: Catalogue,
        source: Source,
        factories: tuple[ObserverFactory, ...] = (),
    ) -> None:
        self._factories = factories
        self._planner = planner
        self._choose_language = planner.splitter.choose_language
        self._catalogue = catalogue
        self._source = source
        # The oldest go first. Texts are never stored.
        self._recent: dict[_Key, _Recent] = {}
        # By voice: the catalogue's revision, and whether that catalogue may have the voice.
        self._voice_checks: dict[str, tuple[int, bool]] = {}

    def client_fields(self) -> frozenset[str]:
        return self._catalogue.client_fields()

    def may_have_voice(self, voice: str, own: AccountLibrary) -> bool:
        """Tell whether a voice exists, or may be one of an engine that has not been up yet."""
        if voice in own.voices:
            return True
        revision, known = self._catalogue.live.revision, self._voice_checks.get(voice)
        if known is None or known[0] != revision:
            if len(self._voice_checks) >= _MOST_STORED:
                self._voice_checks.clear()
            known = self._voice_checks[voice] = (revision, self._catalogue.may_have_voice(voice))
        return known[1]

    def forget_voice(self, voice: str, digests: Collection[str]) -> None:
        """Forget the plans with this voice. Plans from a library are removed with the library."""
        del digests
        for key, recent in list(self._recent.items()):
            if any(voice in pattern.plan.voices for pattern in recent.patterns.values()):
                del self._recent[key]

    async def planned_call(
        self,
        id_: str,
        caller: Caller,
        request: SpeechRequest,
        terms: Terms,
        own: AccountLibrary,
        own_voice: Voice | None = None,
    ) -> SpeechCall:
        """Plan a request, and return its call. Raises what `Planner.plan` raises.

        If the voice is this request's `own_voice`, no plan is stored.
        """
        if own_voice is not None:
            own = own.with_voice(own_voice)
        # A voice, a recording or words that come with the request are for it alone. So are large fields.
        is_unique = own_voice is not None or request.source is not None
        is_unique = is_unique or not isinstance(request.lexicon, str | None)
        is_unique = is_unique or wanted_check(request, terms) is not None  # it is cut at its sentences
        if request.extra and sum([len(value) for _, value in request.extra]) > _MOST_EXTRA:
            is_unique = True
        has_tags = "[" in request.text and next(find_tags(request.text), None) is not None
        if is_unique or has_tags or request.cast or request.by_sentence:
            # Its parts depend on the text, or the request brings data that must not be stored.
            plan = await self._planner.plan_in_thread(request, terms, own)
            pattern = self._pattern(caller.account, request, plan)
        else:
            check_length(request.text, terms)
            key = caller.account, replace(request, **UNPLANNED)
            recent, revision = self._recent.get(key), self._catalogue.live.revision
            known = None
            if recent is not None and recent.is_for(terms, own, revision):
                choice = self._choose_language(recent.voice, request.language, "request", request.text)
                known = recent.patterns.get(choice)
            if known is None:
                # The revision was read first, so that a change while a thread plans is not missed.
                plan = await self._planner.plan_in_thread(request, terms, own)
                pattern = self._pattern(caller.account, request, plan)
                library = ref(own, partial(_forget_with, self._recent, key))
                self._store(key, _Recent(terms, library, revision, plan.voice, {}), pattern, own, request)
            else:
                pattern, plan = known, known.plan_for(request)
        clip = None if pattern.clip is None else self._source.path(pattern.clip, request.text)
        return SpeechCall(id_, caller, request, plan, Totals(request, plan), clip, pattern.openers)

    def _pattern(self, account: str, request: SpeechRequest, plan: SpeechPlan) -> _Pattern:
        is_used = self._source.is_used(request, plan.terms)
        clip = self._source.name_without_text(account, request, plan) if is_used else None
        openers = [opener for factory in self._factories if (opener := factory(request, plan)) is not None]
        return _Pattern(plan, tuple(openers), clip)

    def _store(
        self, key: _Key, planned: _Recent, pattern: _Pattern, own: AccountLibrary, request: SpeechRequest
    ) -> None:
        """Store the plan of a text, by the language of the text."""
        plan = pattern.plan
        part = plan.parts[0]
        choice = self._choose_language(plan.voice, request.language, "request", request.text)
        is_whole = len(plan.parts) == 1 and (part.start, part.characters) == (0, len(request.text))
        if not is_whole or plan.voice.cast or (part.language, part.source) != (choice.tag, choice.source):
            return
        recent = self._recent.pop(key, None)
        if recent is None or not recent.is_for(planned.terms, own, planned.revision):
            recent = planned
        if len(recent.patterns) >= _MOST_LANGUAGES:
            recent.patterns.clear()
        recent.patterns[choice] = pattern
        while len(self._recent) >= _MOST_STORED:
            self._recent.pop(next(iter(self._recent)), None)
        self._recent[key] = recent


def _forget_with(stored: dict[_Key, _Recent], key: _Key, library: ReferenceType[AccountLibrary]) -> None:
    recent = stored.get(key)
    if recent is not None and recent.own is library:
        del stored[key]
