"""The files of an AudioSeal model, and the check of its sizes, which does not need torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from speech_engine.model_files import ModelContents, ModelFacts, ModelFile, ModelFormat, UnusableModel

RATE_HZ: Final = 16_000
"""The rate of the networks."""
HOP: Final = 320
"""The samples that the networks take at a time: 20 ms."""
BITS: Final = 16
DETECTOR_CHANNELS: Final = 32

FIXED: Final[Mapping[str, Any]] = {
    "channels": 1,
    "n_residual_layers": 1,
    "ratios": [8, 5, 4, 2],
    "activation": "ELU",
    "kernel_size": 7,
    "last_kernel_size": 7,
    "residual_kernel_size": 3,
    "dilation_base": 2,
    "causal": True,
    "pad_mode": "constant",
    "true_skip": True,
    "compress": 2,
    "disable_norm_outer_blocks": 0,
}
"""The values of all streaming models. Other models need later sound, so they cannot mark a stream."""


class NetworkSizes(NamedTuple):
    dimension: int = 128
    filters: int = 32
    lstm: int = 2


def read_network_sizes(model: ModelContents) -> NetworkSizes:
    """Return the sizes that the card names; without a card, the published model's. Raise UnusableModel."""
    if not model.has("card"):
        return NetworkSizes()
    model.number("card", "nbits", BITS, BITS)
    for name, fixed in FIXED.items():
        found = model.value("card", f"seanet.{name}")
        if found != fixed and (found is not None or name == "causal"):
            raise UnusableModel(f"card.json: seanet.{name} must be {fixed}")
    return NetworkSizes(
        model.number("card", "seanet.dimension", 1, 1024),
        model.number("card", "seanet.n_filters", 2, 256),
        model.number("card", "seanet.lstm", 1, 8),
    )


def check_audioseal(model: ModelContents) -> ModelFacts:
    """Compare the tensors' shapes with the card. Raise UnusableModel."""
    sizes = read_network_sizes(model)
    width = 16 * sizes.filters
    generator: dict[str, tuple[int, ...]] = {
        "msg_processor.msg_processor.weight": (2 * BITS, sizes.dimension)
    }
    detector: dict[str, tuple[int, ...]] = {
        "detector.0.reverse_convolution.weight": (sizes.dimension, DETECTOR_CHANNELS, HOP),
        "detector.1.weight": (2 + BITS, DETECTOR_CHANNELS, 1),
    }
    for layer in range(sizes.lstm):
        shape = (4 * width, width)
        generator[f"encoder.model.13.lstm.weight_ih_l{layer}"] = shape
        generator[f"decoder.model.1.lstm.weight_ih_l{layer}"] = shape
        detector[f"detector.0.model.13.lstm.weight_ih_l{layer}"] = shape
    try:
        for role, shapes in (("generator", generator), ("detector", detector)):
            for name, dimensions in shapes.items():
                model.expect(role, name, dimensions)
    except UnusableModel as fault:
        if model.has("card"):
            raise
        raise UnusableModel(
            f"{fault}; a model of other sizes than the published one needs its card.json"
        ) from None
    return ModelFacts(extra_gb=0.3)


_STAND_INS: Final = (
    "omegaconf.*",
    "typing.Any",
    *(f"builtins.{name}" for name in ("str", "float", "bool")),
    *(f"__builtin__.{name}" for name in ("unicode", "long", "float", "bool")),
)
"""The checkpoints keep their makers' settings beside the tensors, with the types of their values."""


def _network(role: str) -> ModelFile:
    return ModelFile(
        role=role,
        kind="tensors",
        name=f"{role}.safetensors",
        sources=(f"{role}.safetensors", f"{role}_streaming.pth", f"{role}.pth"),
        roots=("best_state", "model", ""),
        strip=("model.",),
        stand_ins=_STAND_INS,
    )


MODEL_FORMAT: Final = ModelFormat(
    files=(
        _network("generator"),
        _network("detector"),
        ModelFile(role="card", kind="json", name="card.json", is_optional=True),
    ),
    check=check_audioseal,
)
