"""The own voices of an account that speak only while it never paid: their models forbid paid use."""

from __future__ import annotations

from collections.abc import Sequence

from policies.plans import Terms
from policies.routing import Offer, RoutingQuery, Rules, Voice, decide
from proxy.catalogue.catalogue import Catalogue

_MOST_VOICES = 200
_MOST_NAMED = 5


def silenced_voices(
    voices: Sequence[Voice], catalogue: Catalogue, before: Terms, after: Terms, language: str
) -> str:
    """Return a sentence with the names of these voices, "" if there are none. It may take a while."""
    if before.is_paid:
        return ""

    def can_speak(voice: Voice, terms: Terms) -> bool:
        offer = Offer(models=tuple(catalogue.list_models(terms)[1]))
        query = RoutingQuery(language=voice.language or language, source="default")
        return bool(offer.models and decide(offer, voice, query, terms, Rules(catalogue.licences)).candidates)

    some = voices[:_MOST_VOICES]
    lost = [voice.name for voice in some if can_speak(voice, before) and not can_speak(voice, after)]
    if not lost:
        return ""
    more = f" and {len(lost) - _MOST_NAMED} more" if len(lost) > _MOST_NAMED else ""
    names = ", ".join(lost[:_MOST_NAMED])
    return f"After a first payment these voices cannot speak, as their models forbid paid use: {names}{more}."
