"""The tiny model in memory, what it speaks with, and upstream's own class over the same networks."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from plugins.xtts.checkpoint import Checkpoint, load_checkpoint
from plugins.xtts.conditioning import VoiceBuilder, XttsVoice
from plugins.xtts.decoding import BatchedDecoder, DecodingRow
from plugins.xtts.model_format import SAMPLE_HZ
from plugins.xtts.text import TextReader, readable_languages
from tests.plugins.xtts.tiny import write_model

# isort: split
import numpy as np
import torch

torch.set_num_threads(1)  # beside others on a busy machine, more of them only wait for one another

TEXTS = (
    "hello there, this is a test.",
    "a much longer sentence is here, so that the text has another length altogether.",
    "short.",
    "numbers and words, and a comma.",
)


class Rig(NamedTuple):
    folder: Path
    checkpoint: Checkpoint
    reader: TextReader
    voices: tuple[XttsVoice, ...]

    def decoder(self, **sampling: Any) -> BatchedDecoder:
        made = self.checkpoint._replace(sampling=self.checkpoint.sampling._replace(**sampling))
        return BatchedDecoder(made, torch.float32)

    def join(self, decoder: BatchedDecoder, text: int, seed: int) -> DecodingRow:
        tokens = self.reader.tokens(TEXTS[text], "en")
        return decoder.join(tokens, self.voices[text].latents, seed)

    def alone(self, decoder: BatchedDecoder, text: int, seed: int) -> DecodingRow:
        row = self.join(decoder, text, seed)
        while not row.is_over:
            decoder.step([row])
        decoder.leave(row)
        return row


def recording(number: int, seconds: float = 4.0) -> bytes:
    """A sound that is another one for each number."""
    moments = np.arange(int(seconds * SAMPLE_HZ)) / SAMPLE_HZ
    tone = np.sin(2 * np.pi * (110 + 40 * number) * moments) * (0.3 + 0.2 * np.sin(2 * np.pi * 3 * moments))
    noise = np.random.default_rng(number).normal(0, 0.02, len(moments))
    return ((tone + noise) * 20_000).astype("<i2").tobytes()


@cache
def rig(*, is_thai: bool = False) -> Rig:
    folder = Path(tempfile.mkdtemp(prefix="xtts-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return load_rig(write_model(folder, is_thai=is_thai))


def load_rig(folder: Path) -> Rig:
    checkpoint = load_checkpoint(folder, "cpu", lambda _part, _what: None)
    reader = TextReader(checkpoint.vocabulary, readable_languages(checkpoint.languages), checkpoint.sizes)
    maker = VoiceBuilder(checkpoint, "cpu")
    return Rig(folder, checkpoint, reader, tuple(maker.make([recording(each)]) for each in range(4)))


@cache
def upstream() -> Any:
    """Upstream's whole model, with the networks and the tokenizer of the tiny one."""
    folder = rig().folder
    return upstream_over(folder, load_checkpoint(folder, "cpu", lambda _part, _what: None))


def upstream_over(folder: Path, ours: Checkpoint) -> Any:
    """Upstream's whole model over networks that were read from a folder."""
    import TTS.tts.models.xtts as upstream_module
    from TTS.tts.configs.xtts_config import XttsConfig

    class Upstream(upstream_module.Xtts):  # type: ignore[misc]
        """The tokenizer comes from a file, and the networks are given: they are too large to be made."""

        def init_models(self) -> None: ...

    config = XttsConfig()
    config.load_json(str(folder / "config.json"))
    model = Upstream(config)
    model.gpt, model.hifigan_decoder = ours.gpt, ours.decoder
    model.mel_stats = ours.mel_stats
    model.tokenizer = upstream_module.VoiceBpeTokenizer(str(folder / "vocab.json"))
    model.gpt.init_gpt_for_inference()
    return torch.nn.Module.eval(model)
