"""The feature own voices, as the list of all has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.feature import Feature, House, HouseRevision, Opened, Served
from proxy.features.own_voices.records import TABLE
from proxy.speech.speaking import OnTheWay


@asynccontextmanager
async def _open(house: House) -> AsyncIterator[Opened]:
    from proxy.features.consents.grants import Grants
    from proxy.features.own_voices.clip_endpoints import VoiceSamples
    from proxy.features.own_voices.clips import VoiceRecordings
    from proxy.features.own_voices.editing import VoiceEditing
    from proxy.features.own_voices.editor import LibraryEditor
    from proxy.features.own_voices.export import VoiceExport, export_places
    from proxy.features.own_voices.maker import VoiceMaker
    from proxy.features.own_voices.reference_speech import ReferenceSpeech
    from proxy.features.own_voices.requested import RequestedVoices
    from proxy.features.own_voices.retention import Retention, VoiceUseConcern, open_voice_use
    from proxy.features.own_voices.saved_voices import SavedVoices
    from proxy.features.own_voices.trained.endpoints import trained_endpoints
    from proxy.features.own_voices.trained.room import ModelRoom

    forms, grants = None, house.find(Grants)
    if house.engines is not None:
        forms = ReferenceSpeech(
            house.intake, house.samples, house.engines, house.levels, grants, house.ledger
        )
    retention = Retention(house.store, house.config_at_start.plans, house.erasing, house.metrics)
    export = VoiceExport(house.store, house.vault, export_places())
    model_room = ModelRoom()
    async with open_voice_use(house.store, house.metrics) as use:

        def at(revision: HouseRevision) -> Served:
            retention.plans = revision.config.plans
            lists, clones = revision.voices, revision.house.clones
            editor = LibraryEditor(
                house.store,
                house.vault,
                revision.library,
                revision.house.purges,
                clones,
                revision.config.voices,
                None if lists is None else lists.catalogue,
            )
            maker = VoiceMaker(house.vault, editor, house.intake, grants, house.erasing, clones)
            recordings = VoiceRecordings(house.vault, editor, house.intake, grants, house.erasing)
            voices = RequestedVoices(lists, revision.admin_tools, editor)
            served = trained_endpoints(house, voices, maker, model_room)
            # The paths of samples first: the id of a voice may have slashes.
            served += VoiceSamples(voices, recordings).endpoints
            served += VoiceEditing(voices, maker, export).endpoints
            return Served(
                served,
                on_the_way=OnTheWay((VoiceUseConcern(use).opener,)),
                forms=forms,
            )

        saved = SavedVoices(house.store, house.vault, grants)
        yield Opened(house._replace(own_voices=saved), at, alone=(retention.run,))


FEATURE = Feature("own_voices", _open, tables=(TABLE,))
