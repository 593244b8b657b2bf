"""The entry of the feature consents in the list of feature_list.py."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from proxy.catalogue.notices import Notices
from proxy.catalogue.recognition import LocalRecognition
from proxy.config.config_toml import Config
from proxy.config.finding import Finding, ProbeResults, wrong
from proxy.engines.registry import Registry
from proxy.feature import Additions, AppContext, Feature, FeatureInstance, RevisionContext
from proxy.features.consents import hearings
from proxy.features.consents.records import TABLE
from proxy.hosts.environments.environments import EnvironmentRefused, interpreter
from speech_engine import Hosted


def check_comparer(config: Config, registry: Registry, _results: ProbeResults) -> Iterator[Finding]:
    """Check that the comparer is installed and its environment built."""
    name = config.consent.comparer
    if not name:
        return
    plugin = registry.plugins("comparer").get(name)
    if plugin is None:
        yield wrong("comparer", f"consent.comparer: {name} is not installed", name=name)
    elif isinstance(plugin.create, Hosted):
        try:
            interpreter(name, plugin.create)
        except EnvironmentRefused as refused:
            yield wrong("comparer", str(refused), name=name)


def check_words(config: Config, registry: Registry, _results: ProbeResults) -> Iterator[Finding]:
    """Check that an engine recognises speech if consents with wrong words are refused."""
    known, engines = registry.plugins("engine"), config.engines.values()
    formats = [known[each.plugin].model_format for each in engines if each.plugin in known]
    hears = any(format_ is not None and format_.hears for format_ in formats)
    hears = hears or any(each.settings.get("hears") is True for each in engines)
    if config.consent.words == "refuse" and (not hears or "transcriptions" in config.features_off):
        found = 'consent.words: "refuse" needs a local engine that hears: without one, no words are checked'
        yield wrong("consent words", found, "voxgate models pull whisper-base")


def needs_plugins(config: Config) -> bool:
    """Tell whether the checks have to load plugins."""
    return bool(config.consent.comparer) or config.consent.words == "refuse"


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    from proxy.audio.recordings.decoder import open_decoder
    from proxy.audio.recordings.intake import RecordingIntake
    from proxy.features.consents.comparison import open_comparison
    from proxy.features.consents.consent_store import ConsentStore
    from proxy.features.consents.endpoints import Consents
    from proxy.features.consents.grants import Grants
    from proxy.features.consents.quality import RecordingChecks
    from proxy.features.consents.word_checks import WordChecks
    from proxy.file_store.vault import Vault

    recognition, notices = context.find_shared_or(LocalRecognition()), context.find_shared_or(Notices())
    tasks = hearings.Hearings(context.store, recognition)  # they hear the words of recordings
    checks = WordChecks(context.store, context.find(Vault), recognition, notices)
    tasks.uses["cons"] = hearings.HearingUse(checks.load_recording, checks.judge_words)
    async with (
        open_decoder(context.shared) as decoder,
        open_comparison(context.registry, context.config_at_start) as comparison,
    ):
        intake = RecordingIntake(decoder)
        consents = ConsentStore(
            context.store, context.find(Vault), intake, comparison, context.erasing.erase, tasks
        )
        grants = Grants(context.store, consents.compare, tasks.is_waiting)

        def additions_for(revision: RevisionContext) -> Additions:
            section = revision.config.consent
            checks.operator, grants.refuses_words = section.operator, section.words == "refuse"
            tasks.must_hear = grants.refuses_words
            checks_of_recordings = RecordingChecks(intake, comparison).endpoints
            return Additions([*Consents(revision.admin_tools, consents).endpoints, *checks_of_recordings])

        # A command has no engines that recognise speech. The server runs the tasks when it is back.
        kinds = () if context.engines is None else (tasks,)
        shared = context.with_shared(decoder).with_shared(grants).with_shared(tasks).with_shared(comparison)
        yield FeatureInstance(shared, additions_for, task_kinds=kinds)


FEATURE = Feature(
    "consents",
    _open,
    tables=(TABLE, hearings.TABLE, hearings.FREE_TABLE),
    paths=(
        "/v1/audio/voice_consents",
        "/admin/consents",
        "/v1/audio/voice_quality",
        "/admin/voice_quality",
    ),
    checks=(check_comparer, check_words),
    needs_plugins=needs_plugins,
)
