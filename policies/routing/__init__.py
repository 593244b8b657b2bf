"""Routing of a request: an ordered list of candidates, or the filter that refused the last of them."""

from __future__ import annotations

from policies.routing.decision import (
    Decision,
    FrontEndNames,
    Offer,
    RoutingResult,
    Rules,
    Verdict,
    decide,
    late_last,
)
from policies.routing.filters import find_language, is_allowed, is_open, speaks
from policies.routing.name_owners import NameOwners, find_owners
from policies.routing.speakers import (
    Speaker,
    find_emotions,
    find_speaker,
    is_cloned_for,
    may_receive,
    needs_text,
)
from policies.routing.values import (
    PLAIN,
    Binding,
    Candidate,
    FoundStep,
    Model,
    NoCandidate,
    Post,
    PostSpeaker,
    PostStep,
    Route,
    Routes,
    RoutingQuery,
    Voice,
    voice_text,
)

__all__ = [
    "PLAIN",
    "Binding",
    "Candidate",
    "Decision",
    "FoundStep",
    "FrontEndNames",
    "Model",
    "NameOwners",
    "NoCandidate",
    "Offer",
    "Post",
    "PostSpeaker",
    "PostStep",
    "Route",
    "Routes",
    "RoutingQuery",
    "RoutingResult",
    "Rules",
    "Speaker",
    "Verdict",
    "Voice",
    "decide",
    "find_emotions",
    "find_language",
    "find_owners",
    "find_speaker",
    "is_allowed",
    "is_cloned_for",
    "is_open",
    "late_last",
    "may_receive",
    "needs_text",
    "speaks",
    "voice_text",
]
