"""The interface of clones at providers, for code that saves voices. The feature `clones` implements it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from policies.plans import Terms
from proxy.catalogue.own_voices import SavedClone
from proxy.catalogue.voice_records import VoiceRecord
from proxy.config.feature_switches import how_to_turn_on, off_sentence
from proxy.errors import InvalidRequest, NotAllowed
from proxy.storage.store import Statement
from speech_engine import ModelInfo

ENGINES_FIELD = "engines"
"""The field of a request that names engines for clones."""


class CloneTarget(NamedTuple):
    """An account at a provider. `info` is a model of the engine that clones."""

    engine: str
    credential: str
    info: ModelInfo


class CloneRights(NamedTuple):
    """The engines that may get a clone of a voice.

    `engines` are those of the plan, `providers` those that the consent names; None is all.
    """

    providers: tuple[str, ...] | None = None
    engines: tuple[str, ...] | None = None
    is_local_only: bool = False

    @classmethod
    def under(cls, terms: Terms, providers: tuple[str, ...] | None) -> CloneRights:
        return cls(providers, terms.engines, terms.local_only)

    def check_rights_at(self, target: CloneTarget) -> None:
        """Raise NotAllowed if the voice may not be cloned there. A recording stays with a local engine."""
        if self.engines is not None and target.engine not in self.engines:
            raise NotAllowed(
                f"Your plan does not have '{target.engine}'.", param=ENGINES_FIELD, code="model_not_allowed"
            )
        if target.info.is_local:
            return
        if self.is_local_only:
            raise NotAllowed(
                f"Your plan keeps recordings on this server, and '{target.engine}' is elsewhere.",
                param=ENGINES_FIELD,
                code="plan_is_local_only",
            )
        if self.providers is not None and target.engine not in self.providers:
            raise NotAllowed(
                f"The consent of the voice does not name '{target.engine}'.",
                param=ENGINES_FIELD,
                code="consent_not_given",
            )


class Cloning(Protocol):
    """The clones of voices. These bodies are those of a server without the feature: see `NO_CLONES`."""

    async def of_voices(self, voices: Collection[str]) -> Mapping[str, Sequence[SavedClone]]:
        """Return the clones of voices by voice."""
        del voices
        return {}

    async def is_clone(self, engine: str, voice: str) -> bool:
        """Tell whether an engine's voice is a clone of an account's."""
        del engine, voice
        return False

    def find_targets(self, engines: Iterable[str], credential: str = "") -> list[CloneTarget]:
        """Return the accounts at providers for clones on these engines. Raises InvalidRequest, and
        UpstreamFailed while an engine is starting."""
        del credential
        if tuple(engines):
            message = off_sentence("clones", how_to_turn_on("clones"))
            raise InvalidRequest(message, param=ENGINES_FIELD, code="feature_off")
        return []

    def check_targets(
        self, targets: Iterable[CloneTarget], seconds: Sequence[float], rights: CloneRights
    ) -> None:
        """Refuse targets that may not have the recordings, or could not use them.

        Raises NotAllowed and InvalidRequest.
        """
        del targets, seconds, rights

    async def check_bill(
        self, account: str, terms: Terms, targets: Iterable[CloneTarget], voice: str | None = None
    ) -> None:
        """Refuse clones that an account cannot pay for. A clone that the saved `voice` has already costs
        nothing.

        Raises NotAllowed and QuotaExceeded.
        """
        del account, terms, targets, voice

    async def check_saved(
        self, record: VoiceRecord, engines: Iterable[str], terms: Terms | None, *, credential: str = ""
    ) -> list[CloneTarget]:
        """Make the same checks for a saved voice, and return the targets. A voice of the operator has no
        `terms`."""
        del record, terms
        return self.find_targets(engines, credential)

    def statements(
        self, record: VoiceRecord, targets: Iterable[CloneTarget], payer: str, tag: str = ""
    ) -> Sequence[Statement]:
        """Return the clone tasks for the commit of their voice. They do nothing without the voice."""
        del record, targets, payer, tag
        return ()

    def begin_clones(self, record: VoiceRecord) -> None:
        """Begin the clone tasks that were committed with a voice."""
        del record

    async def order(
        self,
        record: VoiceRecord,
        targets: Iterable[CloneTarget],
        *,
        payer: str = "",
        tag: str = "",
        pays_again: bool = False,
    ) -> object:
        """Clone a saved voice at targets that were checked. Raises NotFound if the voice was deleted."""
        del record, targets, payer, tag, pays_again
        return None


class _NoClones(Cloning): ...


NO_CLONES = _NoClones()
