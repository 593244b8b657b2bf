"""The models that can speak with the voice of a recording, and advice if there are none.

Handlers check this before a client records anything, because without a model the recording would be useless.
"""

from __future__ import annotations

from policies import routing
from policies.plans import Terms
from policies.routing import Decision, Model, Offer, Rules, decide, is_cloned_for
from proxy.catalogue.catalogue import Catalogue

_HELPED = frozenset({"voice_not_available", "unsupported_language"})
"""The codes of errors that another model might not have."""
_HOW_SPOKEN = frozenset({"emotion", "pitch", "voice.mix"})
"""The fields of errors that only some models have."""
_MOST_NAMED = 5
_OPERATOR = "The operator of this server can add it with:"


class RecordingSpeakers:
    """The models that a caller may use with a recording. Without terms, the list is public."""

    def __init__(self, catalogue: Catalogue, terms: Terms | None) -> None:
        self._models = catalogue.usable_models(terms)
        self._converter = catalogue.converter
        self._is_complete = not catalogue.awaits_models
        self._command_for = catalogue.command_for
        self._is_paid = terms is not None and terms.is_paid

    def hint(self, tag: str | None = None) -> str:
        """Return advice if no model can speak a recording in this language, or in any language; else "".

        It is also "" while an engine starts, because its models are not known yet.
        """
        if not self._is_complete or self.model_names(tag) or self._repeats(tag):
            return ""
        where = f" in the language '{tag}'" if tag else ""
        problem = f"Nothing on this server can speak a voice of a recording{where}."
        if places := sorted({each.engine for each in self._speaking(tag) if is_cloned_for(each.info)}):
            return f"{problem} A provider's clone of it can: name {' or '.join(places)} in 'engines'."
        command = self._command_for(tag, self._is_paid, "recordings")
        if not command:
            return f"{problem} No model is known that the operator could add for it."
        return f"{problem} {_OPERATOR} {command}"

    def model_names(self, tag: str | None) -> list[str]:
        """Return the names of the models that `models` returns."""
        return [each.name for each in self.models(tag)]

    def models(self, tag: str | None) -> list[Model]:
        """Return the models that speak recordings, in this language or in any."""
        return [each for each in self._speaking(tag) if each.info.speaks_samples]

    def _speaking(self, tag: str | None) -> list[Model]:
        speaking = [each for each in self._models if each.info.speaks]
        return [each for each in speaking if tag is None or routing.speaks(each.info, tag)]

    def _repeats(self, tag: str | None) -> bool:
        """Tell whether the configured converter can repeat another model's speech in this language."""
        return bool(self._speaking(tag)) and any(
            each.engine == self._converter and each.info.converts and each.info.speaks_samples
            for each in self._models
        )


def advice_for(decision: Decision, catalogue: Catalogue, terms: Terms | None) -> str:
    """Return advice on a refused language or voice of recordings, or "".

    It names other models that can speak it, or how the operator can add one. If the model cannot convert a
    recording, it names models that can.
    """
    error = decision.error
    if error is not None and error.code == "unsupported_language" and not decision.voice.samples:
        return _language_advice(decision.query.language, catalogue, terms)
    if error is not None and decision.query.converts and error.code == "unsupported_model":
        return _converters_advice(catalogue, terms)
    is_how = error is not None and error.field in _HOW_SPOKEN
    if error is None or not decision.voice.is_recorded or not (error.code in _HELPED or is_how):
        return ""
    speakers = RecordingSpeakers(catalogue, terms)
    judged = {verdict.model.name for verdict in decision.verdicts}
    others = [each for each in speakers.models(decision.query.language) if each.name not in judged]
    # These models may refuse the recording, too: it may be too short, lack its text, or be forbidden to them.
    rules = Rules(catalogue.licences)
    found = (
        decide(Offer(models=tuple(others)), decision.voice, decision.query, terms, rules) if others else None
    )
    if found is not None and found.candidates:
        return f"{', '.join(each.model.name for each in found.candidates)} can."
    return "" if is_how or not decision.voice.samples else speakers.hint(decision.query.language)


def _language_advice(tag: str, catalogue: Catalogue, terms: Terms | None) -> str:
    models = [each for each in catalogue.usable_models(terms) if each.info.speaks and not each.info.runner]
    able = [each.name for each in models if routing.speaks(each.info, tag)]
    if able:
        return f"Name a model that speaks it, and one of its voices: {', '.join(able[:_MOST_NAMED])}."
    if catalogue.awaits_models:
        return ""
    is_paid = terms is not None and terms.is_paid
    command = catalogue.command_for(tag, is_paid, "natural")
    what = f"it with: {command}" if command else "one that does."
    return f"No model that you may use here speaks it: the operator of this server can add {what}"


def _converters_advice(catalogue: Catalogue, terms: Terms | None) -> str:
    able = [model.name for model in catalogue.usable_models(terms) if model.info.converts]
    if able:
        return f"{', '.join(able)} can."
    return "" if catalogue.awaits_models else "No model that you may use here can."
