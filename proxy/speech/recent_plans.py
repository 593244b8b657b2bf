"""The plans of the last cached requests: a request that comes again soon is not planned again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from cachetools import LRUCache

from policies.plans import Terms
from proxy.access.callers import Caller
from proxy.catalogue.catalogue import Catalogue
from proxy.catalogue.library import AccountLibrary
from proxy.speech.cache import Cache, CacheQuestion
from proxy.speech.call import SpeechCall
from proxy.speech.planning import Planner, SpeechPlan
from proxy.speech.speech_request import SpeechRequest

_MOST_CHARACTERS = 4_000_000
"""Of the texts of all plans that are kept. They are in memory alone."""
_PLAN_CHARACTERS = 2000
"""The size of a plan without its text, counted as characters."""


class _RecentPlan(NamedTuple):
    """A plan, and everything that it was made of besides the request and the account.

    `more_characters` are those of the request that are no text to speak.
    """

    terms: Terms
    own: AccountLibrary
    revision: int
    plan: SpeechPlan
    clip: str
    more_characters: int

    def is_for(self, terms: Terms, own: AccountLibrary, revision: int) -> bool:
        return self.terms is terms and self.own is own and self.revision == revision


class RecentPlans:
    """Plans calls, for one revision of the configuration.

    A plan is used again only for the same account and request, under the very same terms and library, while
    the catalogue is the same. Terms and libraries are read every five seconds, so no plan is used for longer:
    an account that was changed has no use of what it was allowed before. A plan says where a clip would be,
    and never that there is one.
    """

    def __init__(self, planner: Planner, catalogue: Catalogue, cache: Cache) -> None:
        self._planner = planner
        self._catalogue = catalogue
        self._cache = cache
        self._plans: LRUCache[tuple[str, SpeechRequest], _RecentPlan] = LRUCache(
            _MOST_CHARACTERS, getsizeof=_size
        )

    def __repr__(self) -> str:
        return f"<RecentPlans {len(self._plans)} kept>"

    def client_fields(self) -> frozenset[str]:
        """Return the fields beyond ours that a request may have for some model."""
        return self._catalogue.client_fields()

    def forget_voice(self, voice: str, digests: Collection[str]) -> None:
        """Forget the plans with this voice."""
        del digests
        for key in [key for key, recent in self._plans.items() if voice in recent.plan.voices]:
            del self._plans[key]

    async def call(
        self, id_: str, caller: Caller, request: SpeechRequest, terms: Terms, own: AccountLibrary
    ) -> SpeechCall:
        """Plan a request, and return its call. Raises what `Planner.plan` raises."""
        if not self._cache.is_used(request, terms):
            plan = await self._planner.plan_in_thread(request, terms, own)
            return SpeechCall.of(id_, caller, request, plan)
        if isinstance(request.lexicon, Mapping):
            # Its words came with the request, and are its own.
            recent = await self._plan(caller, request, terms, own)
            return SpeechCall.of(id_, caller, request, recent.plan, recent.clip)
        key = caller.account, request
        kept = self._plans.get(key)
        if kept is None or not kept.is_for(terms, own, self._catalogue.revision):
            kept = self._plans[key] = await self._plan(caller, request, terms, own)
        return SpeechCall.of(id_, caller, request, kept.plan, kept.clip)

    async def _plan(
        self, caller: Caller, request: SpeechRequest, terms: Terms, own: AccountLibrary
    ) -> _RecentPlan:
        # The revision comes first: what changes while a thread plans must not be missed.
        revision = self._catalogue.revision
        plan = await self._planner.plan_in_thread(request, terms, own)
        clip = self._cache.path(CacheQuestion(caller.account, request, plan))
        more = len(request.instructions) + sum(len(value) for _, value in request.extra)
        return _RecentPlan(terms, own, revision, plan, clip, more)


def _size(recent: _RecentPlan) -> int:
    parts = recent.plan.parts
    return _PLAN_CHARACTERS * len(parts) + parts[-1].end + recent.more_characters
