"""The endpoints of models and of what they are trained from, for one revision of the configuration."""

from __future__ import annotations

from proxy.feature import House
from proxy.features.own_voices.maker import VoiceMaker
from proxy.features.own_voices.requested import RequestedVoices
from proxy.features.own_voices.trained.endpoints import VoiceModels
from proxy.features.own_voices.trained.intake import TrainedIntake
from proxy.features.own_voices.trained.leaving import ModelExport
from proxy.features.own_voices.trained.prompts import Prompts
from proxy.features.own_voices.trained.room import ModelRoom
from proxy.http.endpoint import Endpoint


def trained_endpoints(
    house: House, voices: RequestedVoices, maker: VoiceMaker, room: ModelRoom
) -> list[Endpoint]:
    """Return the endpoints, which come before the other paths of a voice."""
    intake = TrainedIntake(house.trained, house.registry, maker, voices.editor, room)
    export = ModelExport(house.vault, house.trained, intake, room)
    return VoiceModels(voices, intake, export).endpoints + Prompts().endpoints
