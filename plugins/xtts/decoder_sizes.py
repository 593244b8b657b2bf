"""The sizes of an XTTS model's vocoder and speaker encoder, which follow from the tensors.

Every tensor that makes these networks large is compared, so the networks are not larger than the file.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from speech_engine.model_files import ModelContents, UnusableModel

SPEAKER = 512

_VOCODER = "hifigan_decoder.waveform_decoder."
_ENCODER = "hifigan_decoder.speaker_encoder."
_UPSAMPLINGS = (16, 16, 4, 4)
"""The kernels of the upsampling layers. Each layer halves the channels."""
_STAGES = (1, 2, 3, 4)
_MEL_PARTS = 8
"""The rest of 64 mel bands after the stages of the speaker encoder."""
_NORMED = ("parametrizations.weight.original1", "weight_v")
"""The names of a weight with a norm in newer and older versions of torch."""

_MOST_CHANNELS, _MOST_KERNEL, _MOST_KERNELS = 2048, 31, 8
_MOST_FILTERS, _MOST_BLOCKS = 1024, 32


class DecoderSizes(NamedTuple):
    """The vocoder's `channels` and `kernels`, and the speaker encoder's `blocks` and `filters` by stage."""

    channels: int
    kernels: tuple[int, ...]
    blocks: tuple[int, ...]
    filters: tuple[int, ...]


def read_decoder_sizes(model: ModelContents, dim: int) -> DecoderSizes:
    """Return the sizes that the shapes name, for a language model of this width. Raise UnusableModel."""
    channels, kernels = _vocoder(model, dim)
    blocks, filters = _speaker_encoder(model)
    return DecoderSizes(channels, kernels, blocks, filters)


def _vocoder(model: ModelContents, dim: int) -> tuple[int, tuple[int, ...]]:
    channels = model.expect("weights", f"{_VOCODER}conv_pre.weight", (None, dim, 7)).shape[0]
    _judge(f"{_VOCODER}conv_pre.weight has channels", channels, 2 ** len(_UPSAMPLINGS), _MOST_CHANNELS)
    model.expect("weights", f"{_VOCODER}cond_layer.weight", (channels, SPEAKER, 1))
    count, left = divmod(_count(model, rf"{re.escape(_VOCODER)}resblocks\.(\d+)\."), len(_UPSAMPLINGS))
    _judge("its vocoder has kernels", count if not left else 0, 1, _MOST_KERNELS)
    kernels: list[int] = []
    for layer, upsampling in enumerate(_UPSAMPLINGS):
        outer, inner = channels >> layer, channels >> layer + 1
        _expect_normed(model, f"{_VOCODER}ups.{layer}.", (outer, inner, upsampling))
        for place in range(count):
            block = f"{_VOCODER}resblocks.{layer * count + place}."
            if layer == 0:
                kernels.append(_expect_normed(model, f"{block}convs1.0.", (inner, inner, None))[2])
                _judge(f"a kernel of {block} has numbers", kernels[place], 1, _MOST_KERNEL)
            for part in ("convs1.0", "convs1.1", "convs1.2", "convs2.0", "convs2.1", "convs2.2"):
                _expect_normed(model, f"{block}{part}.", (inner, inner, kernels[place]))
    return channels, tuple(kernels)


def _speaker_encoder(model: ModelContents) -> tuple[tuple[int, ...], tuple[int, ...]]:
    before = model.expect("weights", f"{_ENCODER}conv1.weight", (None, 1, 3, 3)).shape[0]
    blocks, filters = [], []
    for stage in _STAGES:
        layer = f"{_ENCODER}layer{stage}."
        width = model.expect("weights", f"{layer}0.conv1.weight", (None, before, 3, 3)).shape[0]
        _judge(f"{layer}0.conv1.weight has filters", width, 1, _MOST_FILTERS)
        count = _count(model, rf"{re.escape(layer)}(\d+)\.")
        _judge(f"{layer} has blocks", count, 1, _MOST_BLOCKS)
        for block in range(count):
            model.expect("weights", f"{layer}{block}.conv1.weight", (width, before, 3, 3))
            model.expect("weights", f"{layer}{block}.conv2.weight", (width, width, 3, 3))
            before = width
        blocks.append(count)
        filters.append(width)
    model.expect("weights", f"{_ENCODER}fc.weight", (SPEAKER, 2 * _MEL_PARTS * before))
    return tuple(blocks), tuple(filters)


def _count(model: ModelContents, pattern: str) -> int:
    """Return how many numbered parts there are, if none is left out."""
    found = (re.match(pattern, name) for name in model.tensors("weights"))
    return 1 + max((int(each.group(1)) for each in found if each and len(each.group(1)) < 4), default=-1)


def _expect_normed(model: ModelContents, prefix: str, shape: tuple[int | None, ...]) -> tuple[int, ...]:
    names = [prefix + name for name in _NORMED]
    name = next((name for name in names if name in model.tensors("weights")), names[0])
    return model.expect("weights", name, shape).shape


def _judge(what: str, number: int, least: int, most: int) -> None:
    if not least <= number <= most:
        raise UnusableModel(f"model.safetensors: {what}: {number}; {least} to {most} make sense")
