"""F5-TTS in `bench.gpu`: the project's `sample` and its vocoder, and our model, both in sixteen steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench.gpu_cells import VOICES, Contest, Options, Text
from bench.gpu_sides import Batched, OneAtATime, Upstream, load_side
from bench.timed_model import CHARACTER_S
from plugins.f5tts.checkpoint import Checkpoint, build_network, load_checkpoint
from plugins.f5tts.durations import spoken_s, usual_s
from plugins.f5tts.flow import BatchedFlow
from plugins.f5tts.model import LONGEST_S, STEP_S, USUAL_STEPS, F5Model
from plugins.f5tts.model_format import FRAMES_A_SECOND, HOP, MELS, RATE_HZ
from plugins.f5tts.plugin import F5Settings
from plugins.f5tts.text import TextReader, spell
from plugins.f5tts.voices import F5Voice, make_voice
from speech_engine.values import SpeechJob
from tests.plugins.f5tts.in_environment.rig import recording, stored_model
from tests.plugins.f5tts.tiny import FULL, TINY

# isort: split
import torch
from f5_tts.model.cfm import CFM

WORDS = "This is what the recording says, and a few words more. "
RECORDING_S = 6.0
MOST_APART_S = 0.8
"""Each piece that a text was cut into may be longer by its least sound."""


class _Upstream:
    """The project's own class over the same weights, for one text at a time, which it gives as a whole."""

    def __init__(
        self, checkpoint: Checkpoint, device: str, voices: Sequence[F5Voice], strictness: float
    ) -> None:
        network = build_network(checkpoint.sizes, "v1", is_masked=False)
        network.load_state_dict(checkpoint.network.float().state_dict())
        mels = {"target_sample_rate": RATE_HZ, "n_mel_channels": MELS, "hop_length": HOP, "win_length": 1024}
        self._model: Any = CFM(
            transformer=network.eval().to(device),
            mel_spec_kwargs={**mels, "n_fft": 1024, "mel_spec_type": "vocos"},
            odeint_kwargs={"method": "euler"},
            vocab_char_map=dict(checkpoint.vocabulary),
        ).eval()
        self._vocoder = checkpoint.vocoder
        self._device = device
        self._voices = voices
        self._strictness = strictness

    def pieces(self, text: Text, voice: int, *, is_streaming: bool) -> Iterator[float]:
        del is_streaming
        heard = self._voices[voice]
        frames = heard.first + round(spoken_s(text.spoken, heard.pace) * FRAMES_A_SECOND)
        with torch.inference_mode():
            made, _ = self._model.sample(
                cond=heard.mels.unsqueeze(0).to(self._device),
                text=[spell(heard.words + text.spoken)],
                duration=frames,
                steps=USUAL_STEPS,
                cfg_strength=self._strictness,
                sway_sampling_coef=-1.0,
            )
            sound = self._vocoder(made[:, heard.first :].transpose(1, 2).float())[0]
        yield len(sound.cpu()) / RATE_HZ


def open_contest(folder: Path, device: str, options: Options, *, is_full: bool) -> Contest:
    stored_model(folder, ("en",), size=FULL if is_full else TINY)
    settings = F5Settings()
    checkpoint, weights = load_side(device, lambda: _load(folder, device, options))
    reader = TextReader(checkpoint.vocabulary, ("en",))
    model = F5Model(checkpoint, reader, BatchedFlow(checkpoint, settings.cfg), {"m": USUAL_STEPS})
    # As slow as the texts were drawn.
    pace = CHARACTER_S / usual_s("a")
    began = time.monotonic()
    voices = [model.make_voice(recording(0, RECORDING_S), WORDS)]
    voice_s = time.monotonic() - began
    voices += [make_voice(recording(number, RECORDING_S), WORDS) for number in range(1, VOICES)]
    voices = [voice._replace(pace=pace) for voice in voices]

    theirs, their_weights = load_side(
        device,
        lambda: Upstream(_Upstream(_load(folder, device, Options()), device, voices, settings.cfg), options),
    )
    numbers = sum(each.numel() for each in checkpoint.network.parameters())
    return Contest(
        sides={
            OneAtATime(theirs, is_streaming=False): their_weights,
            Batched(model, voices, settings, STEP_S, options, _cut_by(model)): weights,
        },
        facts=f"the network has {numbers / 1e6:.1f} million numbers; a voice takes {voice_s:.2f} s; "
        f"{USUAL_STEPS} steps, pieces of {LONGEST_S:g} s at most",
        apart_s=MOST_APART_S,
    )


def _cut_by(model: F5Model) -> Callable[[SpeechJob, F5Voice], SpeechJob]:
    def cut(job: SpeechJob, voice: F5Voice) -> SpeechJob:
        return msgspec.structs.replace(job, segments=tuple(piece for _, piece in model.cut(job, voice)))

    return cut


def _load(folder: Path, device: str, options: Options) -> Checkpoint:
    return load_checkpoint(folder, "v1", options.precision, device, lambda _part, _what: None)
