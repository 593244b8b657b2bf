"""The accounts at providers at which a voice can be cloned."""

from __future__ import annotations

from policies.routing import is_cloned_for
from proxy.catalogue.clones import PARAM, ClonePlace
from proxy.config.engines import DEFAULT_CREDENTIAL
from proxy.config.reader import possible
from proxy.engines.engine_list import Engines
from proxy.errors import InvalidRequest, UpstreamFailed
from speech_engine import ModelInfo


class ClonePlaces:
    """All places at which the server can have clones made."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines

    def configured(self) -> set[tuple[str, str]]:
        """Return every engine with each of its credentials, those too that are down now."""
        return {
            (name, credential)
            for name, _ in self._engines.items()
            for credential in self._engines.credentials(name) or (DEFAULT_CREDENTIAL,)
        }

    def info(self, engine: str) -> ModelInfo | None:
        """Return a model of this engine that clones, if one is known now."""
        infos = self._engines[engine].models() if engine in self._engines else ()
        return next((info for info in infos if is_cloned_for(info)), None)

    def find(self, engine: str, credential: str = "") -> ClonePlace:
        """Return a place. Without a credential, it is `default`, or the engine's first one.

        Raises InvalidRequest if there is no such place, and UpstreamFailed if its engine is not up yet.
        """
        labels = sorted(label for name, label in self.configured() if name == engine)
        info = self.info(engine)
        if info is None and labels and not self._engines[engine].models():
            raise UpstreamFailed(f"The engine '{engine}' is not available right now.", retry_after_s=5.0)
        if info is None:
            able = sorted(name for name, _ in self._engines.items() if self.info(name) is not None)
            raise InvalidRequest(
                f"The engine '{engine[:80]}' cannot clone voices. {possible(engine, able, 'engines')}",
                param=PARAM,
            )
        if not credential:
            credential = DEFAULT_CREDENTIAL if DEFAULT_CREDENTIAL in labels else labels[0]
        if credential not in labels:
            raise InvalidRequest(
                f"The engine '{engine}' has no such credential. "
                f"{possible(credential, labels, 'credentials')}",
                param="credential",
            )
        return ClonePlace(engine, credential, info)
