"""The tiny model in memory, what it speaks with, and the project's own class over the same weights."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from plugins.f5tts.checkpoint import Checkpoint, build_network, load_checkpoint
from plugins.f5tts.flow import BatchedFlow, FlowRow
from plugins.f5tts.model_format import RATE_HZ
from plugins.f5tts.text import TextReader, spell
from plugins.f5tts.voices import F5Voice, make_voice
from speech_engine.model_files import ModelManifest
from speech_engine.model_manifest import MANIFEST, digest_of
from tests.plugins.f5tts.tiny import TINY, ModelSize, write_model

# isort: split
import numpy as np
import torch
from safetensors.torch import load_file, save_file

torch.set_num_threads(1)  # beside others on a busy machine, more of them only wait for one another

STRICTNESS = 2.0
WORDS = "This is what the recording says. "
TEXTS = (
    "Hello there, this is a test.",
    "A much longer sentence is here, so that the text has another length altogether.",
    "Short one.",
    "Numbers and words, and a comma.",
)


class Rig(NamedTuple):
    folder: Path
    checkpoint: Checkpoint
    reader: TextReader
    voices: tuple[F5Voice, ...]

    def flow(self) -> BatchedFlow:
        return BatchedFlow(self.checkpoint, STRICTNESS)

    def join(self, flow: BatchedFlow, voice: int, text: str, frames: int, steps: int, seed: int) -> FlowRow:
        heard = self.voices[voice]
        return flow.join(heard.mels, self.reader.numbers(heard.words + text), frames, steps, seed)


def recording(number: int, seconds: float = 3.0) -> bytes:
    """A sound that is another one for each number."""
    moments = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    tone = np.sin(2 * np.pi * (110 + 40 * number) * moments) * (0.3 + 0.2 * np.sin(2 * np.pi * 3 * moments))
    noise = np.random.default_rng(number).normal(0, 0.02, len(moments))
    return ((tone + noise) * 20_000).astype("<i2").tobytes()


def stored_model(
    folder: Path, languages: tuple[str, ...] = ("en", "pt"), *, is_thai: bool = False, size: ModelSize = TINY
) -> Path:
    """Write a model as an import stores it."""
    write_model(folder, is_thai=is_thai, size=size)
    (folder / "model_1.safetensors").rename(folder / "model.safetensors")
    tensors = {
        name.removeprefix("ema_model."): value
        for name, value in load_file(folder / "model.safetensors").items()
    }
    save_file(tensors, folder / "model.safetensors")
    write_manifest(folder, languages)
    return folder


def write_manifest(folder: Path, languages: tuple[str, ...]) -> None:
    manifest = ModelManifest(
        name="mine",
        engine="f5tts",
        digest=digest_of("f5tts", ()),
        files=(),
        licence="CC0",
        languages=languages,
    )
    (folder / MANIFEST).write_bytes(msgspec.json.encode(manifest))


@cache
def rig(*, is_thai: bool = False) -> Rig:
    folder = Path(tempfile.mkdtemp(prefix="f5tts-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return load_rig(stored_model(folder, is_thai=is_thai))


def load_rig(folder: Path, version: str = "v1") -> Rig:
    checkpoint = load_checkpoint(folder, version, "float32", "cpu", lambda _part, _what: None)
    voices = tuple(make_voice(recording(each, 1.0 + 0.3 * each), WORDS) for each in range(4))
    return Rig(folder, checkpoint, TextReader(checkpoint.vocabulary, ("en", "pt")), voices)


def upstream(version: str = "v1", *, is_masked: bool = False) -> Any:
    """The project's own class over the weights of the tiny model, as it ships or with its mask."""
    from f5_tts.model.cfm import CFM

    ours = rig().checkpoint
    network = build_network(ours.sizes, version, is_masked=is_masked)
    network.load_state_dict(ours.network.state_dict())
    mels = {"target_sample_rate": RATE_HZ, "n_mel_channels": 100, "hop_length": 256, "win_length": 1024}
    return CFM(
        transformer=network,
        mel_spec_kwargs={**mels, "n_fft": 1024, "mel_spec_type": "vocos"},
        odeint_kwargs={"method": "euler"},
        vocab_char_map=dict(ours.vocabulary),
    ).eval()


def sampled(
    model: Any, voices: list[F5Voice], texts: list[str], frames: list[int], steps: int, seed: int
) -> Any:
    """What the project's `sample` makes of rows together."""
    made, _ = model.sample(
        cond=torch.nn.utils.rnn.pad_sequence([voice.mels for voice in voices], batch_first=True),
        text=[spell(voice.words + text) for voice, text in zip(voices, texts, strict=True)],
        duration=torch.tensor(frames),
        lens=torch.tensor([voice.mels.shape[0] for voice in voices]),
        steps=steps,
        cfg_strength=STRICTNESS,
        sway_sampling_coef=-1.0,
        seed=seed,
    )
    return made
