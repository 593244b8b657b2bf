"""The files of OpenVoice's converter, and the check of its tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from io import BytesIO
from typing import Final

from plugins.openvoice.layers import FFT, PUBLISHED, OpenVoiceSizes, shapes_of
from speech_engine.model_files import (
    ModelContents,
    ModelFacts,
    ModelFile,
    ModelFormat,
    TensorInfo,
    UnusableModel,
)
from speech_engine.model_files.safetensors import read_header

RATE_HZ: Final = 22_050
HOP: Final = 256
"""The samples of a frame."""
_DATA: Final = {"sampling_rate": RATE_HZ, "filter_length": FFT, "hop_length": HOP, "win_length": FFT}


def read_finite(data: memoryview) -> Mapping[str, TensorInfo]:
    """Return the tensors of a safetensors file. Raise UnusableModel if a number is not finite."""
    # Only the header is copied.
    head = 8 + int.from_bytes(data[:8], "little")
    tensors = read_header(BytesIO(data[:head]), len(data))
    for name, info in tensors.items():
        if info.dtype != "F32":
            raise UnusableModel(f"its tensor {name[:200]} has numbers of the type {info.dtype}, not F32")
        # An infinite number, or one that is none, makes the sum so. No sum of these floats overflows.
        if not math.isfinite(sum(data[info.begin : info.begin + info.bytes].cast("f"))):
            raise UnusableModel(f"its tensor {name[:200]} has numbers that are not finite")
    return tensors


def check_tensors(model: ModelContents, sizes: OpenVoiceSizes = PUBLISHED) -> ModelFacts:
    """Raise UnusableModel for a model whose tensors are not exactly those of the published one."""
    for name, value in _DATA.items():
        model.number("config", f"data.{name}", value, value)
    if model.value("config", "model.zero_g") is not True:
        raise UnusableModel("config.json: model.zero_g must be true, as in the converter of OpenVoice V2")
    shapes = shapes_of(sizes)
    for name, shape in shapes.items():
        model.expect("weights", name, shape)
    if more := sorted(model.tensors("weights").keys() - shapes.keys()):
        raise UnusableModel(f"model.safetensors: it has a tensor {more[0][:200]}, which no such model has")
    return ModelFacts(extra_gb=0.4)


MODEL_FORMAT: Final = ModelFormat(
    files=(
        ModelFile(
            role="weights",
            kind="tensors",
            name="model.safetensors",
            sources=("checkpoint.pth",),
            roots=("model",),
            most_bytes=256 * 1024**2,
            reader=read_finite,
        ),
        ModelFile(role="config", kind="json", name="config.json"),
    ),
    check=check_tensors,
)
