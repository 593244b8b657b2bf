"""The entry of the feature erasure in the list of feature_list.py."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from proxy.catalogue.erased_voices import ErasedVoices
from proxy.errors import from_engine
from proxy.feature import Additions, AppContext, BackedUp, Feature, FeatureInstance
from proxy.features.erasure import journal, object_journal
from proxy.speech.call import OpenObserver, SpeechCall
from proxy.speech.observer import Observer
from proxy.speech.planning import SpeechPlan
from proxy.speech.speaking import SpeechAdditions
from proxy.speech.speech_request import SpeechRequest
from proxy.storage.tables import Table
from proxy.telemetry.background import repeat
from speech_engine import EngineError

_SIGN_EVERY_S = 60 * 60.0
_REPEAT_EVERY_S = 60.0


class ErasureObservers:
    """Observes each answer with saved voices. An erasure waits for the answer, or ends it."""

    def __init__(self, erased: ErasedVoices) -> None:
        self._erased = erased

    def opener(self, _request: SpeechRequest, plan: SpeechPlan) -> OpenObserver | None:
        return self._open if plan.own_voices else None

    def _open(self, call: SpeechCall) -> Observer:
        voices = call.plan.own_voices
        if (erased := self._erased.erasure_of(voices)) is not None:
            raise from_engine(erased)
        return _ErasureObserver(self._erased, voices)


class _ErasureObserver(Observer):
    def __init__(self, erased: ErasedVoices, voices: Collection[str]) -> None:
        self._erased = erased
        self._voices = voices
        self._streams = ExitStack()
        self._streams.enter_context(erased.speaking(voices))

    def chunk(self, data: bytes) -> None:
        self._erased.refuse_erased(self._voices)

    def piece(self, data: bytes) -> None:
        self._erased.refuse_erased(self._voices)

    def fail(self, error: EngineError) -> EngineError:
        """An engine that has lost the recording of an erased voice has not failed."""
        return self._erased.erasure_of(self._voices) or error

    def end(self, error: BaseException | None) -> None:
        self._streams.close()


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    from proxy.features.erasure.endpoints import ErasureLines
    from proxy.features.erasure.erasure import open_erasure
    from proxy.file_store.vault import Vault

    config, factory = context.config_at_start, ErasureObservers(context.erased)
    vault = context.find(Vault)
    async with open_erasure(
        context.store,
        vault,
        Path(config.data),
        context.metrics,
        context.link,
        context.erased,
        has_clusters=bool(config.used_clusters),
    ) as erasure:
        sign, again, metrics = erasure.sign_lines, erasure.repeat_for_older, context.metrics
        signing = partial(repeat, "signatures of erasures", sign, _SIGN_EVERY_S, metrics, tidies=True)
        watching = partial(repeat, "erasures of older versions", again, _REPEAT_EVERY_S, metrics)
        yield FeatureInstance(
            context._replace(erasing=erasure),
            additions_for=lambda revision: Additions(
                speech=SpeechAdditions((factory.opener,)),
                for_commands=ErasureLines(erasure, revision.admin_tools).endpoints,
            ),
            set_derived_things=erasure.set_derived_data,
            task_kinds=(erasure,),
            tasks_of_one_server=(signing,) if vault.is_shared else (),
            tasks_of_each_server=(watching,),
        )


FEATURE = Feature(
    "erasure",
    _open,
    tables=(Table("followers"),),
    paths=("/admin/erasures",),
    backed_up=(
        BackedUp(
            journal.FILE,
            journal.MOST_BYTES,
            journal.check_journal,
            journal.merge_backup,
            object_journal.lines_in_folder,
        ),
    ),
)
