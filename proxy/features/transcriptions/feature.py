"""The entry of the feature transcriptions in the list of feature_list.py."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from typing import Any, get_args

import msgspec

from proxy.config import defaults
from proxy.config.finding import Finding, ProbeResults, note
from proxy.config.sections import Config
from proxy.engines.registry import Registry
from proxy.feature import Additions, AppContext, Feature, FeatureInstance, RevisionContext
from speech_engine.hearing import Task


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    from proxy.audio.recordings.decoder import open_decoder
    from proxy.features.history.writing import HistoryEntries
    from proxy.features.transcriptions.endpoint import Transcriptions
    from proxy.features.transcriptions.hearing import HearingParts
    from proxy.features.transcriptions.long_decoder import LongDecoder
    from proxy.features.transcriptions.recognition import ModelRecognition
    from proxy.features.transcriptions.word_times import WordTimes

    entries = context.find_shared_or(HistoryEntries())
    async with open_decoder(context.shared) as decoder, aclosing(LongDecoder(context.limits)) as long_decoder:
        parts = HearingParts(context.metrics, decoder, long_decoder)
        recognition = None if context.engines is None else ModelRecognition(context.engines, parts.metrics)

        def additions_for(revision: RevisionContext) -> Additions:
            long_decoder.sells = _sells(revision.config)
            speaking, answering, hearing = revision.speaking, revision.answering, parts.hearing(revision)
            if speaking is None or answering is None or hearing is None:
                return Additions()
            if recognition is not None and revision.catalogue is not None:
                recognition.read_config(revision.config, revision.catalogue.licences)
            dependencies = (speaking, answering, hearing, parts.uploads, context.ledger, entries)
            tasks = get_args(Task)
            return Additions([Transcriptions(task, *dependencies).endpoint() for task in tasks])

        shared = context.with_shared(decoder).with_shared(parts)
        if recognition is not None:
            shared = shared.with_shared(recognition).with_shared(WordTimes(recognition, decoder))
        yield FeatureInstance(shared, additions_for)


class _Sold(msgspec.Struct):
    """What [payments] sells beside plans. Its feature is a later one."""

    packs: dict[str, Any] = {}


def _sells(config: Config) -> bool:
    sold = msgspec.convert(config.features.get("payments", {}), _Sold, from_attributes=True)
    return bool(sold.packs) or any(plan.price for plan in config.plans.values())


def _check_recognisers(config: Config, _registry: Registry, results: ProbeResults) -> Iterator[Finding]:
    if not any(info.hears for models in results.models.values() for info in models):
        yield from _check_model_names(config)


def _check_model_names(config: Config) -> Iterator[Finding]:
    """Yield a note if OpenAI's names of models that hear mean none. An own name may mean one all the same."""
    if not config.models.keys() & defaults.hearing_candidates({}).keys():
        yield note("hearing", "no model writes recordings down: whisper-1 is a 404", defaults.HOW_TO_HEAR)


FEATURE = Feature(
    "transcriptions",
    _open,
    paths=("/v1/audio/transcriptions", "/v1/audio/translations"),
    checks=(_check_recognisers,),
    doctor=(("hearing", _check_model_names),),
)
