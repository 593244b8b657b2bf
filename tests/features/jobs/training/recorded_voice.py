"""A voice of a whole server, with as many recordings as a training needs."""

from typing import Any

from proxy.features.jobs.kinds.training.training_input import LEAST_RECORDINGS
from tests.features.jobs.training.training_rig import recording
from tests.server import Server


def recorded_voice(live: Server, key: str | None = None, **consent: Any) -> str:
    """Make a voice whose speaker agrees to be trained, and return its id."""
    agreed = {"name": "Ana", "language": "en", "statement": "Ana agreed.", "uses": ["training"], **consent}
    with live.client(key, timeout=60.0) as client:
        id_ = client.post("/v1/audio/voice_consents", json=agreed).raise_for_status().json()["id"]
        sent = {"name": "Ana", "consent": id_}
        made = client.post("/v1/audio/voices", data=sent, files={"audio_sample": recording(0)})
        voice: str = made.raise_for_status().json()["id"]
        for number in range(1, LEAST_RECORDINGS):
            files = {"file": recording(number)}
            path = f"/v1/audio/voices/{voice}/samples"
            client.post(path, data={"emotion": "neutral"}, files=files).raise_for_status()
        return voice
