"""Tiny models in memory, what they speak with, and the package's own class over the same networks."""

import atexit
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from pocket_tts.models.tts_model import TTSModel
from pocket_tts.utils.config import Config

from plugins.pocket.decoding import TEMPERATURE, BatchedDecoder, DecodingRow
from plugins.pocket.model import LoadedModel
from plugins.pocket.networks import Networks, description
from plugins.pocket.sizes import RATE_HZ, PocketSizes
from plugins.pocket.text import TextReader, preparation_of
from plugins.pocket.voices import PocketVoice, make_voice
from tests.plugins.pocket.tiny import TINY, TINY_SHARED, TINY_WITHOUT_START, write_networks

torch.set_num_threads(1)  # beside others on a busy machine, more of them only wait for one another

SIZES = (TINY, TINY_WITHOUT_START, TINY_SHARED)
TEXTS = (
    "hello there, this is a test.",
    "a much longer sentence is here, so that the text has another length altogether.",
    "short.",
    "one word and then this, and a comma",
    "Here is one. Here is another one, and it is longer! Is this the third? Then this is the last of all.",
)


class Rig(NamedTuple):
    folder: Path
    networks: Networks
    model: LoadedModel
    voices: tuple[PocketVoice, ...]

    def decoder(self, frames: int | None = None) -> BatchedDecoder:
        return BatchedDecoder(self.networks, frames)

    def join(self, decoder: BatchedDecoder, text: int, seed: int) -> DecodingRow:
        state = self.voices[text % len(self.voices)].state
        return decoder.join(self.model.reader.chunks(TEXTS[text]), state, seed)

    def alone(self, text: int, seed: int) -> list[Any]:
        """Return the latents of a text that is spoken alone."""
        decoder = self.decoder()
        row = self.join(decoder, text, seed)
        while not row.is_over:
            decoder.step([row])
        return [latent for latent, _ in row.waiting]


def recording(number: int, seconds: float = 2.0) -> bytes:
    """A sound that is another one for each number."""
    moments = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    tone = np.sin(2 * np.pi * (110 + 40 * number) * moments) * (0.3 + 0.2 * np.sin(2 * np.pi * 3 * moments))
    noise = np.random.default_rng(number).normal(0, 0.02, len(moments))
    return ((tone + noise) * 20_000).astype("<i2").tobytes()


@cache
def rig(sizes: PocketSizes = TINY) -> Rig:
    folder = Path(tempfile.mkdtemp(prefix="pocket-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    networks = write_networks(folder, sizes)
    reader = TextReader(networks, preparation_of("en", sizes))
    model = LoadedModel(networks, reader, BatchedDecoder(networks))
    return Rig(folder, networks, model, tuple(make_voice(networks, [recording(each)]) for each in range(3)))


class Package(TTSModel):  # type: ignore[misc]
    """The package's model. What it would decode is kept."""

    latents: list[Any]

    def _decode_audio_worker(self, latents_queue: Any, result_queue: Any, *_lengths: int) -> None:
        while (latent := latents_queue.get()) is not None:
            self.latents.append(latent[0, 0])
        result_queue.put(("done", None))

    def said(self, state: Any, text: str, seed: int) -> list[Any]:
        self.latents = []
        torch.manual_seed(seed)
        list(self.generate_audio_stream(state, text))
        return self.latents


@cache
def package(sizes: PocketSizes, *, decodes: bool = False) -> Any:
    """The package's model over the networks of a rig, which keeps latents or `decodes` them."""
    tiny = rig(sizes)
    preparation = preparation_of("en", sizes)
    made = (TTSModel if decodes else Package)(
        tiny.networks.language_model,
        temp=TEMPERATURE,
        sampler_decode_steps=1,
        noise_clamp=None,
        eos_threshold=sizes.ends_above,
        config=Config(**description(sizes, tiny.folder / "tokenizer.json")),
        pad_with_spaces_for_short_inputs=sizes.pads_short,
        remove_semicolons=preparation.removes_semicolons,
        replace_characters=dict(preparation.replaces),
    )
    made.mimi = tiny.networks.codec
    return made


def state_for_package(sizes: PocketSizes, state: Any) -> dict[str, dict[str, Any]]:
    """Return a voice's state in the package's form."""
    length = state.shape[3]
    return {
        f"transformer.layers.{layer}.self_attn": {
            "offset": torch.full((1,), length),
            "pad": torch.zeros(1, dtype=torch.long),
            "cache": state[layer].transpose(1, 2)[:, None].contiguous(),
        }
        for layer in range(sizes.layers)
    }


def pieces(latents: Sequence[Any], sizes: Sequence[int]) -> Iterator[list[Any]]:
    at = 0
    for size in sizes:
        yield list(latents[at : at + size])
        at += size
