"""Random converters without torch: tiny ones, and one of the true size that an import takes.

`python -m tests.plugins.openvoice.tiny FOLDER` writes the files that their makers publish, of the true size.
What they say is noise.
"""

import json
import sys
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from plugins.openvoice.layers import PUBLISHED, OpenVoiceSizes, shapes_of
from speech_engine.model_files import TensorInfo
from speech_engine.model_files.safetensors import header_of
from speech_engine.model_files.torch_writer import write_archive

TINY = OpenVoiceSizes("tiny", 8, 32, 8)
"""As the published one is built, but small: 0.7 million numbers, nearly all in the embedder."""
CONFIG: dict[str, Any] = {
    "_version_": "v2",
    "data": {
        "sampling_rate": 22050,
        "filter_length": 1024,
        "hop_length": 256,
        "win_length": 1024,
        "n_speakers": 0,
    },
    "model": {"zero_g": True, "inter_channels": 192, "gin_channels": 256},
}
_LOUDNESS = 3.0


def random_tensors(sizes: OpenVoiceSizes = TINY, seed: int = 0) -> dict[str, Any]:
    """Return tensors that all have a part in the sound: no coupling does nothing."""
    draw = np.random.default_rng(seed)
    tensors: dict[str, Any] = {}
    for name, shape in shapes_of(sizes).items():
        fan_in = max(1, int(np.prod(shape[1:])))
        value = draw.standard_normal(shape, np.float32) / np.float32(fan_in**0.5)
        if name.endswith("weight_g"):
            direction = tensors[name.replace("weight_g", "weight_v")]
            value = np.sqrt((direction.reshape(len(direction), -1) ** 2).sum(1)).reshape(shape)
            value *= draw.uniform(0.8, 1.2, shape).astype(np.float32)
        elif name.endswith("bias"):
            value = draw.standard_normal(shape, np.float32) * np.float32(0.05)
        elif name == "ref_enc.layernorm.weight":
            value = draw.uniform(0.5, 1.5, shape).astype(np.float32)
        elif name.startswith("flow.") and name.endswith(".post.weight"):
            value *= 0.5
        tensors[name] = value
    tensors["enc_q.proj.weight"][sizes.width :] *= 0.1
    tensors["dec.conv_post.weight"] *= _LOUDNESS
    return tensors


def checkpoint(tensors: Mapping[str, Any]) -> bytes:
    """Return tensors as their makers save them."""
    infos = {name: TensorInfo("F32", value.shape) for name, value in tensors.items()}
    numbers = iter(tensors.values())
    file = BytesIO()
    write_archive(
        file, "model", infos, lambda _info: [next(numbers).tobytes()], {"iteration": 1, "learning_rate": 0.1}
    )
    return file.getvalue()


def write_published(folder: Path, sizes: OpenVoiceSizes = PUBLISHED, seed: int = 0) -> Path:
    """Write the files that are published."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "checkpoint.pth").write_bytes(checkpoint(random_tensors(sizes, seed)))
    (folder / "config.json").write_text(json.dumps(CONFIG))
    return folder


def write_imported(folder: Path, sizes: OpenVoiceSizes = TINY, seed: int = 0) -> Path:
    """Write a model as an import stores it."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = random_tensors(sizes, seed)
    head = header_of((name, "F32", value.shape) for name, value in tensors.items())
    body = b"".join(value.tobytes() for value in tensors.values())
    (folder / "model.safetensors").write_bytes(head + body)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    return folder


if __name__ == "__main__":
    write_published(Path(sys.argv[1]))
