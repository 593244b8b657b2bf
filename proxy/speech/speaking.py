"""How speech is made in one revision of the configuration: for the endpoint of speech, and for features."""

from __future__ import annotations

from policies.plans import Terms
from policies.routing import Voice
from proxy.access.admission import Admission
from proxy.access.callers import Caller
from proxy.catalogue.library import SAVED_THINGS, Library
from proxy.errors import InvalidRequest
from proxy.speech.call import SpeechCall
from proxy.speech.pipeline import Pipeline
from proxy.speech.recent_plans import RecentPlans
from proxy.speech.speech_request import SpeechRequest
from proxy.speech.wiring import SpeechPath


class Speaking:
    """It speaks once it is wired: features have it before they give what they do on the way of speech."""

    plans: RecentPlans
    pipeline: Pipeline

    def __init__(self, admission: Admission, library: Library) -> None:
        self.admission = admission
        self._library = library

    def wire(self, path: SpeechPath) -> None:
        self.plans, self.pipeline = path.plans, path.pipeline

    async def call(
        self, id_: str, caller: Caller, request: SpeechRequest, terms: Terms, lent: Voice | None = None
    ) -> SpeechCall:
        """Plan a request with what its account has now. Raises what `Planner.plan` raises."""
        own = await self._library.get(caller.account)
        try:
            return await self.plans.call(id_, caller, request, terms, own, lent)
        except InvalidRequest as failure:
            # Another worker may have saved it a moment ago.
            newer = None
            if failure.code in SAVED_THINGS:
                newer = await self._library.read_again(caller.account)
            if newer is None:
                raise
            return await self.plans.call(id_, caller, request, terms, newer, lent)
