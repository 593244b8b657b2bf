"""The two networks of a training: the generator makes the voice, the discriminator compares it to recordings.

Both begin with the weights and sizes that the operator imported for this. Without them they begin with random
weights, and need much longer.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import plugins.rvc.boot  # noqa: F401 - before rvc

# isort: split
import torch
from rvc.lib.infer_pack import commons, models

from plugins.rvc.networks import build_generator, on_meta
from plugins.rvc.training.spectrum import SPECTRA
from plugins.rvc.voice_rules import VoiceConfig, VoiceLayout
from speech_engine.host.weights import fill, read_tensors
from speech_engine.model_files import UnusableModel
from speech_engine.model_files.safetensors import read_header

SEGMENT = {32_000: 40, 40_000: 32, 48_000: 36}
"""The frames of a slice that a step uses."""
_UPSAMPLING = {32_000: (10, 8, 2, 2), 40_000: (10, 10, 2, 2), 48_000: (12, 10, 2, 2)}
_KERNELS = {32_000: (20, 16, 4, 4), 40_000: (16, 16, 4, 4), 48_000: (24, 20, 4, 4)}
_USUAL_HZ = (40_000, 48_000, 32_000)
_NAMES = {32_000: "32k", 40_000: "40k", 48_000: "48k"}
_SMALL = 64
"""A voice with a narrower hidden sound gets a small discriminator."""


def _gate(one: Any, other: Any, channels: Any) -> Any:
    both = one + other
    width = int(channels[0])
    return torch.tanh(both[:, :width]) * torch.sigmoid(both[:, width:])


# torch compiles the library's own function after some steps, which changes its numbers.
commons.fused_add_tanh_sigmoid_multiply = _gate


class Networks(NamedTuple):
    layout: VoiceLayout
    generator: Any
    discriminator: Any

    def __repr__(self) -> str:
        return f"<Networks of {self.layout.rate_hz} Hz>"


def choose_rate(folder: Path, target_hz: int) -> int:
    """Return the requested rate, or else the first usual rate with an imported network."""
    if target_hz:
        return target_hz
    return next((hz for hz in _USUAL_HZ if (folder / _file("generator", hz)).exists()), _USUAL_HZ[0])


def check_beginnings(folder: Path) -> None:
    """Check the shapes of the imported networks. Raise UnusableModel."""
    for rate_hz in _USUAL_HZ:
        generator, discriminator = (
            folder / _file("generator", rate_hz),
            folder / _file("discriminator", rate_hz),
        )
        if not generator.exists():
            continue
        shapes = _shapes(generator)
        layout = VoiceLayout("v2", True, rate_hz, _config_of(shapes, rate_hz))
        with on_meta():
            _compare(build_generator(layout), shapes, generator.name)
            if layout.channels >= _SMALL and discriminator.exists():
                _compare(_full_discriminator(), _shapes(discriminator), discriminator.name)


def _full_discriminator() -> Any:
    with warnings.catch_warnings():
        # torch warns about the older form of weight norms, but published files have its names.
        warnings.simplefilter("ignore")
        return models.MultiPeriodDiscriminatorV2()


def _shapes(file: Path) -> dict[str, tuple[int, ...]]:
    with file.open("rb") as opened:
        return {name: info.shape for name, info in read_header(opened, file.stat().st_size).items()}


def _compare(network: Any, shapes: Mapping[str, tuple[int, ...]], file: str) -> None:
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    odd = sorted(name for name in wanted.keys() | shapes.keys() if wanted.get(name) != shapes.get(name))
    if odd:
        raise UnusableModel(f"{file}: {odd[0]} is not as a training needs it")


def build(folder: Path, rate_hz: int, device: str) -> Networks:
    """Return the networks for the beginning of a training. Raise UnusableModel."""
    begin = _read(folder / _file("generator", rate_hz))
    shapes = {name: tuple(tensor.shape) for name, tensor in (begin or {}).items()}
    config = _config_of(shapes, rate_hz) if shapes else _config(rate_hz)
    layout = VoiceLayout("v2", True, rate_hz, config)
    generator = build_generator(layout)
    if begin is not None:
        fill(generator, begin, _file("generator", rate_hz))
    is_small = layout.channels < _SMALL
    discriminator = SmallDiscriminator() if is_small else _full_discriminator()
    against = None if is_small else _read(folder / _file("discriminator", rate_hz))
    if against is not None:
        fill(discriminator, against, _file("discriminator", rate_hz))
    return Networks(layout, generator.to(device).train(), discriminator.to(device).train())


# torch is not installed where types are checked.
class SmallDiscriminator(torch.nn.Module):  # type: ignore[misc]
    """The discriminator of small voices: a few layers over the sound, folded at two periods."""

    def __init__(self) -> None:
        super().__init__()
        self.periods = (2, 3)
        self.layers = torch.nn.ModuleList(
            torch.nn.ModuleList(
                torch.nn.Conv2d(width, wider, (5, 1), (3, 1), (2, 0))
                for width, wider in ((1, 4), (4, 8), (8, 8))
            )
            for _ in self.periods
        )
        self.ends = torch.nn.ModuleList(torch.nn.Conv2d(8, 1, (3, 1), 1, (1, 0)) for _ in self.periods)

    def forward(self, real: Any, made: Any) -> tuple[list[Any], list[Any], list[Any], list[Any]]:
        """Return the verdicts on both sounds, and their inner layers, as RVC's own discriminator does."""
        real_ends, real_maps = zip(*map(partial(self._judged, real), range(len(self.periods))), strict=True)
        made_ends, made_maps = zip(*map(partial(self._judged, made), range(len(self.periods))), strict=True)
        return [*real_ends], [*made_ends], [*real_maps], [*made_maps]

    def _judged(self, sound: Any, number: int) -> tuple[Any, list[Any]]:
        period = self.periods[number]
        folded = sound[..., : sound.shape[-1] // period * period].unflatten(-1, (-1, period))
        maps = []
        for layer in self.layers[number]:
            folded = torch.nn.functional.leaky_relu(layer(folded), 0.1)
            maps.append(folded)
        end = self.ends[number](folded)
        return end.flatten(1), [*maps, end]


def _file(kind: str, rate_hz: int) -> str:
    return f"{kind}_{_NAMES[rate_hz]}.safetensors"


def _read(file: Path) -> dict[str, Any] | None:
    if not file.exists():
        return None
    return {name: tensor.float() for name, tensor in read_tensors(file).items()}


def _config(rate_hz: int) -> VoiceConfig:
    """Return the sizes of RVC-WebUI's networks of version 2. `values` are in the order of VoiceConfig."""
    values: tuple[Any, ...] = (
        *(SPECTRA[rate_hz].fft // 2 + 1, SEGMENT[rate_hz], 192, 192, 768, 2, 6, 3, 0, "1"),
        *([3, 7, 11], [[1, 3, 5]] * 3, list(_UPSAMPLING[rate_hz]), 512),
        *(list(_KERNELS[rate_hz]), 109, 256, rate_hz),
    )
    return VoiceConfig(*values)


def _config_of(shape: Mapping[str, tuple[int, ...]], rate_hz: int) -> VoiceConfig:
    """Return the sizes of an imported generator. Raise UnusableModel."""
    try:
        hidden, width = shape["enc_p.emb_phone.weight"]
        attention = "enc_p.encoder.attn_layers."
        layers = len({name.split(".")[3] for name in shape if name.startswith(attention)})
        head = shape[f"{attention}0.emb_rel_k"][2]
        wide, _, kernel = shape["enc_p.encoder.ffn_layers.0.conv_1.weight"]
        blocks = sorted({int(name.split(".")[2]) for name in shape if name.startswith("dec.resblocks.")})
        kernels = [shape[f"dec.resblocks.{number}.convs1.0.weight_v"][2] for number in blocks]
        speakers, gin = shape["emb_g.weight"]
        initial, inter, _ = shape["dec.conv_pre.weight"]
    except (KeyError, ValueError, IndexError):
        raise UnusableModel(f"{_file('generator', rate_hz)}: it is no generator of version 2") from None
    if width != 768:
        raise UnusableModel(f"{_file('generator', rate_hz)}: it hears {width} numbers a frame, not 768")
    kernels = kernels[: len(kernels) // len(_UPSAMPLING[rate_hz])]
    values: tuple[Any, ...] = (
        *(SPECTRA[rate_hz].fft // 2 + 1, SEGMENT[rate_hz], inter, hidden, wide, hidden // head, layers),
        *(kernel, 0, "1", kernels, [[1, 3, 5]] * len(kernels), list(_UPSAMPLING[rate_hz]), initial),
        *(list(_KERNELS[rate_hz]), speakers, gin, rate_hz),
    )
    return VoiceConfig(*values)
