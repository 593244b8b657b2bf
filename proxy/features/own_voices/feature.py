"""The entry of the feature own voices in the list of feature_list.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.audio.recordings.decoder import Decoder
from proxy.audio.recordings.intake import RecordingIntake
from proxy.feature import Additions, AppContext, Feature, FeatureInstance, RevisionContext
from proxy.features.own_voices.records import TABLE
from proxy.file_store.vault import Vault
from proxy.speech.speaking import SpeechAdditions


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    from proxy.features.consents.grants import Grants
    from proxy.features.consents.hearings import Hearings
    from proxy.features.own_voices.clip_endpoints import VoiceSamples
    from proxy.features.own_voices.clips import VoiceRecordings
    from proxy.features.own_voices.editing import VoiceEditing
    from proxy.features.own_voices.export import VoiceExport, export_limiter
    from proxy.features.own_voices.library_writer import LibraryWriter
    from proxy.features.own_voices.one_shot import OneShotSamples
    from proxy.features.own_voices.reference_speech import ReferenceSpeech
    from proxy.features.own_voices.requested import RequestedVoices
    from proxy.features.own_voices.retention import Retention, open_voice_use
    from proxy.features.own_voices.sample_words import SampleWords
    from proxy.features.own_voices.saved_voices import SavedVoices
    from proxy.features.own_voices.trained.endpoints import trained_endpoints
    from proxy.features.own_voices.trained.model_limiter import ModelLimiter
    from proxy.features.own_voices.voice_creation import VoiceCreation

    forms, grants, hearings, vault = None, context.find(Grants), context.find(Hearings), context.find(Vault)
    context.samples.source = samples = OneShotSamples(context.store, vault)
    words = SampleWords(context.store, vault, hearings)
    intake = RecordingIntake(context.find(Decoder))
    if context.engines is not None:
        forms = ReferenceSpeech(intake, samples, context.engines, context.levels, grants, context.ledger)
    retention = Retention(context.store, context.config_at_start.plans, context.erasing, context.metrics)
    saved = SavedVoices(context.store, vault, grants)
    export = VoiceExport(context.store, vault, export_limiter())
    model_limiter = ModelLimiter()
    async with open_voice_use(context.store, context.metrics) as use:

        def additions_for(revision: RevisionContext) -> Additions:
            retention.plans, words.forget_library = revision.config.plans, revision.library.forget
            library_writer = LibraryWriter(
                context.store,
                vault,
                revision.library,
                revision.context.purges,
                saved.clones,
                revision.config.voices,
                revision.catalogue,
            )
            voice_creation = VoiceCreation(
                vault, library_writer, intake, grants, context.erasing, saved.clones, hearings
            )
            recordings = VoiceRecordings(
                vault, library_writer, intake, grants, context.erasing, hearings, words
            )
            voices = RequestedVoices.of(revision, library_writer)
            served = trained_endpoints(context, voices, voice_creation, model_limiter)
            # The paths of samples first: the id of a voice may have slashes.
            served += VoiceSamples(voices, recordings, revision.context).endpoints
            served += VoiceEditing(voices, voice_creation, export).endpoints
            return Additions(served, speech=SpeechAdditions((use.opener,)), forms=forms)

        yield FeatureInstance(
            context._replace(own_voices=saved).with_shared(saved),
            additions_for,
            tasks_of_one_server=(retention.run,),
            memories=(samples,),
        )


FEATURE = Feature(
    "own_voices",
    _open,
    tables=(TABLE,),
    paths=(
        "/v1/audio/voices",
        "/v1/voices",
        "/admin/voices",
        "/v1/audio/voice_models",
        "/admin/voice_models",
        "/v1/audio/voice_prompts",
        "/admin/voice_prompts",
    ),
)
