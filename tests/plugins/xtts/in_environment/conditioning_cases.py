"""A voice from recordings: upstream's, and refused when there is nothing to hear."""

from typing import Any

import pytest

from plugins.xtts.conditioning import VoiceBuilder
from plugins.xtts.model_format import SAMPLE_HZ
from speech_engine.errors import UnusableSample
from tests.plugins.xtts.in_environment.rig import recording, rig, upstream

# isort: split
import numpy as np
import torch
import TTS.tts.models.xtts as upstream_module


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Upstream reads the rig's recordings: a path has the number, a colon and the length."""

    def load(path: str, _rate: int) -> Any:
        number, seconds = path.split(":")
        pcm = np.frombuffer(recording(int(number), float(seconds)), "<i2").astype(np.float32)
        return torch.from_numpy(pcm / 32768.0).unsqueeze(0)

    monkeypatch.setattr(upstream_module, "load_audio", load)


LESS_ODD = ((4.0,), (3.0, 5.5), (6.2,))


@pytest.mark.parametrize(
    "lengths",
    [(13.0,), (1.0, 0.5, 9.0), *(pytest.param(each, marks=pytest.mark.soak) for each in LESS_ODD)],
)
def test_a_voice_is_upstreams(files: None, lengths: tuple[float, ...]) -> None:
    tiny = rig()
    settings = tiny.checkpoint.conditioning
    paths = [f"{number}:{seconds}" for number, seconds in enumerate(lengths)]
    latents, speaker = upstream().get_conditioning_latents(
        paths,
        max_ref_length=settings.recording_s,
        gpt_cond_len=settings.gpt_s,
        gpt_cond_chunk_len=settings.chunk_s,
    )
    made = VoiceBuilder(tiny.checkpoint, "cpu").make(
        [recording(number, seconds) for number, seconds in enumerate(lengths)]
    )
    assert (made.latents - latents).abs().max() <= 1e-5
    assert (made.speaker - speaker).abs().max() <= 1e-5
    assert repr(made) == "<XttsVoice>"


def test_recordings_in_which_there_is_nothing_are_refused() -> None:
    with pytest.raises(UnusableSample, match="shorter than"):
        VoiceBuilder(rig().checkpoint, "cpu").make([bytes(2 * (SAMPLE_HZ // 4))])


def test_silence_makes_a_voice() -> None:
    made = VoiceBuilder(rig().checkpoint, "cpu").make([bytes(2 * SAMPLE_HZ)])
    assert torch.isfinite(made.latents).all()
    assert torch.isfinite(made.speaker).all()
