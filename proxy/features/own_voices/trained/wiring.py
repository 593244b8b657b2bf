"""The endpoints of models and of what they are trained from, for one revision of the configuration."""

from __future__ import annotations

from proxy.feature import House, HouseRevision
from proxy.features.own_voices.editor import LibraryEditor
from proxy.features.own_voices.maker import VoiceMaker
from proxy.features.own_voices.trained.endpoints import AdminVoiceModels, VoiceModels
from proxy.features.own_voices.trained.intake import TrainedIntake
from proxy.features.own_voices.trained.leaving import ModelExport
from proxy.features.own_voices.trained.prompts import Prompts
from proxy.features.own_voices.trained.room import ModelRoom
from proxy.http.endpoint import Endpoint


def trained_endpoints(
    house: House, revision: HouseRevision, maker: VoiceMaker, editor: LibraryEditor, room: ModelRoom
) -> list[Endpoint]:
    """Return those of clients, which come before the other paths of a voice, and those of the operator."""
    tools = revision.voices
    intake = TrainedIntake(house.trained, house.registry, maker, editor, room)
    export = ModelExport(house.vault, house.trained, intake, room)
    served = AdminVoiceModels(revision.admin_tools, tools, editor, intake, export).endpoints
    served += Prompts().endpoints
    return served if tools is None else VoiceModels(tools, editor, intake, export).endpoints + served
