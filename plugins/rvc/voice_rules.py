"""The sizes that the file of an RVC voice may name, and the shapes of its tensors that follow from them.

A network is built from these sizes, so all are checked first. This file does not need torch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, cast

from speech_engine.model_files import TensorInfo, UnusableModel

Version = Literal["v1", "v2"]
Shape = tuple[int, ...]

VECTORS: Final = "index.vectors"
"""The features of the voice's recordings, beside the tensors of its network."""
WIDTHS: Final[Mapping[str, int]] = {"v1": 256, "v2": 768}
"""The width of the features that a voice is trained on."""
MOST_VECTORS: Final = 200_000
RATES: Final = (32_000, 40_000, 48_000)

_MOST_WORK: Final = 1_200_000_000
"""The most multiplications for a frame, about twice those of RVC-WebUI's largest network. A slower network
would delay all other listeners."""
_MOST_OF_A_LAYER: Final = 45_000_000
"""The most multiplications in one layer, also about twice. A host gives no sign of life within a layer."""
_MOST_NUMBERS: Final = 32_000
"""The most numbers of a frame in one layer, also about twice."""
_FRAMES_A_SECOND: Final = 100
_WINDOW: Final = 10
_FLOWS: Final = (0, 2, 4, 6)
_FLOW_LAYERS: Final = 3
_FLOW_KERNEL: Final = 5
_PITCHES: Final = 256
_FLOATS: Final = ("F16", "F32")


class VoiceConfig(NamedTuple):
    """The eighteen values by which RVC builds a network, in their order."""

    spec_channels: int
    segment: int
    inter: int
    hidden: int
    filter: int
    heads: int
    layers: int
    kernel: int
    dropout: float
    resblock: str
    resblock_kernels: tuple[int, ...]
    resblock_dilations: tuple[tuple[int, ...], ...]
    rates: tuple[int, ...]
    initial: int
    rate_kernels: tuple[int, ...]
    speakers: int
    gin: int
    rate_hz: int


class VoiceLayout(NamedTuple):
    """The checked sizes of a voice. `width` is that of its features, `hop` the samples of a frame."""

    version: Version
    has_pitch: bool
    rate_hz: int
    config: VoiceConfig

    @property
    def width(self) -> int:
        return WIDTHS[self.version]

    @property
    def hop(self) -> int:
        return self.rate_hz // _FRAMES_A_SECOND

    @property
    def channels(self) -> int:
        """The width of the hidden sound, for which noise is drawn."""
        return self.config.inter

    @property
    def metadata(self) -> dict[str, str]:
        return {
            "format": "rvc",
            "version": self.version,
            "f0": "1" if self.has_pitch else "0",
            "sample_rate_hz": str(self.rate_hz),
            "config": json.dumps(list(self.config), separators=(",", ":")),
        }


def read_layout(config: Any, version: Any, has_pitch: Any, rate_hz: Any = None) -> VoiceLayout:
    """Return the layout that these values name, as a file of RVC has them. Raise UnusableModel."""
    if version not in (None, "v1", "v2"):
        raise UnusableModel(f"its version is {_shown(version)}; known are v1 and v2")
    if has_pitch not in (None, 0, 1, "0", "1"):
        raise UnusableModel(f"its f0 is {_shown(has_pitch)}; it must be 0 or 1")
    checked = _config(config)
    if rate_hz not in (None, checked.rate_hz):
        raise UnusableModel(f"its rate is {_shown(rate_hz)}, but its config says {checked.rate_hz}")
    # A file without a version is of version 1, and a file without f0 has a pitch.
    uses_pitch = has_pitch is None or int(has_pitch) == 1
    if uses_pitch:
        _check_source(checked)
    return VoiceLayout(cast(Version, version or "v1"), uses_pitch, checked.rate_hz, checked)


def layout_of(metadata: Mapping[str, str]) -> VoiceLayout:
    """Return the layout in the header of a voice's file. Raise UnusableModel."""
    if metadata.get("format") != "rvc":
        raise UnusableModel("it is no voice of RVC")
    try:
        config = json.loads(metadata.get("config", ""))
        rate_hz = int(metadata.get("sample_rate_hz", ""))
    except (ValueError, RecursionError):
        raise UnusableModel("its header has no config, or no rate") from None
    return read_layout(config, metadata.get("version"), metadata.get("f0"), rate_hz)


def check_tensors(layout: VoiceLayout, tensors: Mapping[str, TensorInfo]) -> None:
    """Raise UnusableModel unless these are exactly the tensors that the layout's network has."""
    left = dict(tensors)
    vectors = left.pop(VECTORS, None)
    for name, shape in expected(layout):
        info = left.pop(name, None)
        if info is None:
            raise UnusableModel(f"it has no tensor {name}, so its config is another network's")
        if info.shape != shape:
            raise UnusableModel(
                f"its tensor {name} has the shape {_sizes(info.shape)}; by its config it is {_sizes(shape)}"
            )
        if info.dtype not in _FLOATS:
            raise UnusableModel(f"its tensor {name} has the type {info.dtype}; it must be F16 or F32")
    if left:
        raise UnusableModel(f"it has the tensor {next(iter(left))[:80]}, which no voice of RVC has")
    if vectors is not None:
        _check_vectors(layout, vectors)


def expected(layout: VoiceLayout) -> Iterator[tuple[str, Shape]]:
    """Yield the name and shape of each tensor of a voice, without those that only training needs."""
    config = layout.config
    yield "emb_g.weight", (config.speakers, config.gin)
    for part in (_encoder(layout), _flow(config), _decoder(layout)):
        yield from part


def _check_vectors(layout: VoiceLayout, vectors: TensorInfo) -> None:
    if vectors.dtype != "F16" or len(vectors.shape) != 2 or vectors.shape[1] != layout.width:
        raise UnusableModel(f"its features must be F16, and {layout.width} wide")
    if not 0 < vectors.shape[0] <= MOST_VECTORS:
        raise UnusableModel(f"it has {vectors.shape[0]:,} features; at most {MOST_VECTORS:,} are allowed")


def _encoder(layout: VoiceLayout) -> Iterator[tuple[str, Shape]]:
    config = layout.config
    hidden = config.hidden
    yield from _linear("enc_p.emb_phone", hidden, layout.width)
    if layout.has_pitch:
        yield "enc_p.emb_pitch.weight", (_PITCHES, hidden)
    relative = (1, 2 * _WINDOW + 1, hidden // config.heads)
    for layer in range(config.layers):
        attention = f"enc_p.encoder.attn_layers.{layer}"
        for part in ("conv_q", "conv_k", "conv_v", "conv_o"):
            yield from _linear(f"{attention}.{part}", hidden, hidden, 1)
        yield f"{attention}.emb_rel_k", relative
        yield f"{attention}.emb_rel_v", relative
        feed = f"enc_p.encoder.ffn_layers.{layer}"
        yield from _linear(f"{feed}.conv_1", config.filter, hidden, config.kernel)
        yield from _linear(f"{feed}.conv_2", hidden, config.filter, config.kernel)
        for norm in ("norm_layers_1", "norm_layers_2"):
            yield f"enc_p.encoder.{norm}.{layer}.gamma", (hidden,)
            yield f"enc_p.encoder.{norm}.{layer}.beta", (hidden,)
    yield from _linear("enc_p.proj", 2 * config.inter, hidden, 1)


def _flow(config: VoiceConfig) -> Iterator[tuple[str, Shape]]:
    hidden, half = config.hidden, config.inter // 2
    for number in _FLOWS:
        flow = f"flow.flows.{number}"
        yield from _linear(f"{flow}.pre", hidden, half, 1)
        yield from _normed(f"{flow}.enc.cond_layer", 2 * hidden * _FLOW_LAYERS, config.gin, 1)
        for layer in range(_FLOW_LAYERS):
            yield from _normed(f"{flow}.enc.in_layers.{layer}", 2 * hidden, hidden, _FLOW_KERNEL)
            out = hidden if layer == _FLOW_LAYERS - 1 else 2 * hidden
            yield from _normed(f"{flow}.enc.res_skip_layers.{layer}", out, hidden, 1)
        yield from _linear(f"{flow}.post", half, hidden, 1)


def _decoder(layout: VoiceLayout) -> Iterator[tuple[str, Shape]]:
    config = layout.config
    first = config.initial
    yield from _linear("dec.conv_pre", first, config.inter, 7)
    yield from _linear("dec.cond", first, config.gin, 1)
    if layout.has_pitch:
        yield from _linear("dec.m_source.l_linear", 1, 1)
    for step, kernel in enumerate(config.rate_kernels):
        before, after = first >> step, first >> (step + 1)
        yield f"dec.ups.{step}.weight_g", (before, 1, 1)
        yield f"dec.ups.{step}.weight_v", (before, after, kernel)
        yield f"dec.ups.{step}.bias", (after,)
        if layout.has_pitch:
            left = math.prod(config.rates[step + 1 :])
            yield from _linear(
                f"dec.noise_convs.{step}", after, 1, 2 * left if step + 1 < len(config.rates) else 1
            )
        for number, size in enumerate(config.resblock_kernels):
            block = f"dec.resblocks.{step * len(config.resblock_kernels) + number}"
            dilations = config.resblock_dilations[number]
            parts = ("convs1", "convs2") if config.resblock == "1" else ("convs",)
            for part in parts:
                for place in range(len(dilations)):
                    yield from _normed(f"{block}.{part}.{place}", after, after, size)
    yield "dec.conv_post.weight", (1, first >> len(config.rates), 7)


def _linear(name: str, out: int, *rest: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", (out, *rest)
    yield f"{name}.bias", (out,)


def _normed(name: str, out: int, into: int, kernel: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight_g", (out, 1, 1)
    yield f"{name}.weight_v", (out, into, kernel)
    yield f"{name}.bias", (out,)


def _config(config: Any) -> VoiceConfig:
    if not isinstance(config, list | tuple) or len(config) != len(VoiceConfig._fields):
        raise UnusableModel("its config must have the 18 values of RVC")
    values = dict(zip(VoiceConfig._fields, config, strict=True))
    rate_hz = values["rate_hz"]
    if type(rate_hz) is not int or rate_hz not in RATES:
        raise UnusableModel(f"its config names the rate {_shown(rate_hz)}; known are 32000, 40000 and 48000")
    if values["resblock"] not in ("1", "2"):
        raise UnusableModel(f"its config names the resblock {_shown(values['resblock'])}; known are 1 and 2")
    dropout = values["dropout"]
    if type(dropout) not in (int, float) or not 0 <= dropout < 1:
        raise UnusableModel("its config names a dropout that makes no sense")
    checked = VoiceConfig(
        spec_channels=_number(values, "spec_channels", 1, 4097),
        segment=_number(values, "segment", 1, 1024),
        inter=_number(values, "inter", 2, 512),
        hidden=_number(values, "hidden", 1, 512),
        filter=_number(values, "filter", 1, 2048),
        heads=_number(values, "heads", 1, 16),
        layers=_number(values, "layers", 1, 24),
        kernel=_number(values, "kernel", 1, 15),
        dropout=dropout,
        resblock=values["resblock"],
        resblock_kernels=_numbers(values, "resblock_kernels", 4, 1, 31),
        resblock_dilations=_dilations(values),
        rates=_numbers(values, "rates", 8, 1, 32),
        initial=_number(values, "initial", 1, 1024),
        rate_kernels=_numbers(values, "rate_kernels", 8, 1, 64),
        speakers=_number(values, "speakers", 1, 4096),
        gin=_number(values, "gin", 1, 1024),
        rate_hz=rate_hz,
    )
    _check_relations(checked)
    _check_work(checked)
    return checked


def _check_relations(config: VoiceConfig) -> None:
    wrong = ""
    if math.prod(config.rates) != config.rate_hz // _FRAMES_A_SECOND:
        wrong = "its steps do not make a frame of ten milliseconds"
    elif len(config.rates) != len(config.rate_kernels):
        wrong = "it has not as many kernels as steps"
    elif any(
        kernel < rate or (kernel - rate) % 2
        for rate, kernel in zip(config.rates, config.rate_kernels, strict=True)
    ):
        wrong = "a kernel does not fit its step"
    elif config.initial % 2 ** len(config.rates) or config.inter % 2 or config.hidden % config.heads:
        wrong = "its widths cannot be divided as they must be"
    elif not config.kernel % 2 or not all(size % 2 for size in config.resblock_kernels):
        wrong = "its kernels must be odd"
    elif len(config.resblock_kernels) != len(config.resblock_dilations):
        wrong = "it has not as many dilations as kernels"
    elif {len(each) for each in config.resblock_dilations} != {3 if config.resblock == "1" else 2}:
        wrong = "its dilations are not those of its resblock"
    if wrong:
        raise UnusableModel(f"its config makes no network: {wrong}")


def _check_source(config: VoiceConfig) -> None:
    """Refuse steps at which the sine of the pitch would be one sample shorter than the sound."""
    left = [math.prod(config.rates[step:]) for step in range(1, len(config.rates))]
    if any(each % 2 for each in left):
        raise UnusableModel(
            "its config makes no network: with a pitch, the steps after each one must have an even product"
        )


def _check_work(config: VoiceConfig) -> None:
    """Refuse a network with a small file that is slow or needs much memory, as its last layers may be."""
    layers = tuple(_layers(config))
    if (
        sum(layer.work for layer in layers) > _MOST_WORK
        or max(layer.work for layer in layers) > _MOST_OF_A_LAYER
        or max(layer.numbers for layer in layers) > _MOST_NUMBERS
    ):
        raise UnusableModel(
            "its config makes a network that needs several times the work or memory of any of RVC-WebUI"
        )


class _Layer(NamedTuple):
    """The cost of a layer for each frame: its multiplications, and the numbers of its output."""

    work: int
    numbers: int


def work_of_a_frame(config: VoiceConfig) -> int:
    return sum(layer.work for layer in _layers(config))


def largest_layer(config: VoiceConfig) -> int:
    return max(layer.work for layer in _layers(config))


def _layers(config: VoiceConfig) -> Iterator[_Layer]:
    """Yield the costs of the layers, without the very small ones."""
    hidden, half = config.hidden, config.inter // 2
    for _ in range(config.layers):
        yield from [_Layer(hidden * hidden, hidden)] * 4
        yield _Layer(hidden * config.filter * config.kernel, config.filter)
        yield _Layer(config.filter * hidden * config.kernel, hidden)
    for _ in _FLOWS:
        yield _Layer(half * hidden, hidden)
        yield from [_Layer(hidden * 2 * hidden * _FLOW_KERNEL, 2 * hidden)] * _FLOW_LAYERS
        yield from [_Layer(hidden * 2 * hidden, 2 * hidden)] * _FLOW_LAYERS
        yield _Layer(hidden * half, half)
    yield _Layer(config.inter * config.initial * 7, config.initial)
    yield from _sounding_layers(config)


def _sounding_layers(config: VoiceConfig) -> Iterator[_Layer]:
    """Yield the costs of the decoder's layers, in which a frame has more and more samples."""
    places, parts = 1, 2 if config.resblock == "1" else 1
    for step, (rate, kernel) in enumerate(zip(config.rates, config.rate_kernels, strict=True)):
        before, after = config.initial >> step, config.initial >> (step + 1)
        work = before * after * kernel * places
        places *= rate
        yield _Layer(work, after * places)
        for size, dilations in zip(config.resblock_kernels, config.resblock_dilations, strict=True):
            yield from [_Layer(after * after * size * places, after * places)] * (parts * len(dilations))


def _dilations(values: Mapping[str, Any]) -> tuple[tuple[int, ...], ...]:
    found = values["resblock_dilations"]
    if not isinstance(found, list | tuple) or not 0 < len(found) <= 4:
        raise UnusableModel("its config names resblock_dilations that make no sense")
    return tuple(_numbers({"resblock_dilations": each}, "resblock_dilations", 3, 1, 31) for each in found)


def _number(values: Mapping[str, Any], name: str, least: int, most: int) -> int:
    value = values[name]
    if type(value) is not int or not least <= value <= most:
        raise UnusableModel(f"its config names {name} {_shown(value)}; it must be {least} to {most}")
    return value


def _numbers(values: Mapping[str, Any], name: str, longest: int, least: int, most: int) -> tuple[int, ...]:
    found = values[name]
    if not isinstance(found, list | tuple) or not 0 < len(found) <= longest:
        raise UnusableModel(f"its config names {name} that make no sense")
    return tuple(_number({name: each}, name, least, most) for each in found)


def _sizes(shape: Sequence[int]) -> str:
    return "(" + ", ".join(map(str, shape)) + ")"


def _shown(value: object) -> str:
    return ascii(value)[:40]
