"""The sizes of the published models, and the names and shapes of their tensors.

The description in YAML of a published model is not read, because its tensors identify it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal, NamedTuple

RATE_HZ: Final = 24_000
FRAME: Final = 1920
"""The samples of a frame: 80 ms."""
POSITIONS: Final = 16
"""The positions of the codec's transformers in a frame: 200 a second."""
RATIOS: Final = (6, 5, 4)
LATENT: Final = 32
HEAD: Final = 64
"""The width of a head of the language model, whatever its size."""
TIMES: Final = 128

Flow = Literal["lsd", "drifting", "pointwise"]
Shape = tuple[int, ...]


class CodecSide(NamedTuple):
    """The encoder or decoder of the codec. Its transformer attends to `context` positions. `filters` is the
    width of the layer next to the sound."""

    width: int
    filters: int
    kernel: int
    heads: int
    layers: int
    context: int
    inner: int


class PocketSizes(NamedTuple):
    """The sizes of a model and its settings. `rank` and `z` are 0 if it has none.

    A text ends when the model's certainty of the end is above `ends_above`.
    """

    name: str
    layers: int
    dim: int
    heads: int
    shared_heads: int
    inner: int
    flow: Flow
    flow_dim: int
    flow_layers: int
    decoder: CodecSide
    encoder: CodecSide = CodecSide(512, 64, 7, 8, 2, 250, 2048)
    rank: int = 0
    z: int = 0
    latent: int = LATENT
    tokens: int = 4000
    has_start: bool = True
    ends_above: float = -4.0
    is_english: bool = False
    pads_short: bool = False


_LARGE: Final = CodecSide(512, 64, 7, 8, 2, 250, 2048)
_SMALL: Final = CodecSide(128, 32, 3, 4, 12, 50, 384)
_SMALLEST: Final = CodecSide(128, 24, 3, 4, 4, 50, 384)

SIX_LAYERS: Final = PocketSizes("100m", 6, 1024, 16, 16, 4096, "lsd", 512, 6, _LARGE)
_ENGLISH: Final = SIX_LAYERS._replace(is_english=True)
_SHORT: Final = PocketSizes(
    "18m", 8, 512, 8, 8, 512, "drifting", 192, 4, _SMALL, z=64, ends_above=-1.0, is_english=True
)

PUBLISHED: Final = (
    SIX_LAYERS,
    SIX_LAYERS._replace(name="24-layers", layers=24),
    _ENGLISH._replace(name="100m-drifting", flow="drifting"),
    _ENGLISH._replace(name="100m-2026-01", has_start=False, latent=512, pads_short=True),
    _SHORT,
    _SHORT._replace(name="7m", dim=224, shared_heads=2, inner=224, rank=64),
    _SHORT._replace(
        name="2m",
        dim=112,
        heads=3,
        shared_heads=1,
        inner=96,
        flow="pointwise",
        flow_dim=64,
        decoder=_SMALLEST,
        rank=32,
    ),
)


def shapes_of(sizes: PocketSizes) -> dict[str, Shape]:
    parts = (
        ("flow_lm.", _language_model(sizes)),
        ("flow_lm.flow_net.", _flow_net(sizes)),
        ("mimi.encoder.", _encoder(sizes.encoder)),
        ("mimi.decoder.", _decoder(sizes.decoder)),
        ("mimi.encoder_transformer.", _codec_transformer(sizes.encoder)),
        ("mimi.decoder_transformer.", _codec_transformer(sizes.decoder)),
    )
    between = {
        "mimi.quantizer.output_proj.weight": (sizes.decoder.width, LATENT, 1),
        "mimi.downsample.conv.conv.weight": (sizes.latent, sizes.encoder.width, 2 * POSITIONS),
        "mimi.upsample.convtr.convtr.weight": (sizes.decoder.width, 1, 2 * POSITIONS),
    }
    return between | {f"{prefix}{name}": shape for prefix, shapes in parts for name, shape in shapes}


_Shapes = Iterator[tuple[str, Shape]]


def _language_model(sizes: PocketSizes) -> _Shapes:
    dim = sizes.dim
    for name in ("bos_emb", "emb_std", "emb_mean"):
        yield name, (LATENT,)
    if sizes.has_start:
        yield "bos_before_voice", (1, 1, dim)
    yield "speaker_proj_weight", (dim, sizes.latent)
    yield "conditioner.embed.weight", (sizes.tokens + 1, sizes.rank or dim)
    if sizes.rank:
        yield "conditioner.proj.weight", (dim, sizes.rank)
    yield "input_linear.weight", (dim, LATENT)
    for layer in range(sizes.layers):
        for name, shape in _layer(dim, sizes.heads * HEAD, sizes.shared_heads * HEAD, sizes.inner).items():
            yield f"transformer.layers.{layer}.{name}", shape
    yield from _affine("out_norm", dim)
    if sizes.z:
        yield "z_proj.weight", (sizes.z, dim)
    yield "out_eos.weight", (1, sizes.z or dim)
    yield "out_eos.bias", (1,)


def _flow_net(sizes: PocketSizes) -> _Shapes:
    dim = sizes.flow_dim
    if sizes.flow == "lsd":
        for time in range(2):
            yield f"time_embed.{time}.freqs", (TIMES,)
            yield from _linear(f"time_embed.{time}.mlp.0", dim, 2 * TIMES)
            yield from _linear(f"time_embed.{time}.mlp.2", dim, dim)
            yield f"time_embed.{time}.mlp.3.alpha", (dim,)
    yield from _linear("cond_embed", dim, sizes.z or sizes.dim)
    yield from _linear("input_proj", dim, LATENT)
    for layer in range(sizes.flow_layers):
        yield from _affine(f"res_blocks.{layer}.in_ln", dim)
        yield from _linear(f"res_blocks.{layer}.mlp.0", dim, dim)
        yield from _linear(f"res_blocks.{layer}.mlp.2", dim, dim)
        yield from _linear(f"res_blocks.{layer}.adaLN_modulation.1", 3 * dim, dim)
    yield from _linear("final_layer.linear", LATENT, dim)
    yield from _linear("final_layer.adaLN_modulation.1", 2 * dim, dim)


def _encoder(side: CodecSide) -> _Shapes:
    width, place = side.filters, 0
    yield from _conv("model.0.conv", width, 1, side.kernel)
    for ratio in reversed(RATIOS):
        yield from _block(f"model.{place + 1}", width)
        yield from _conv(f"model.{place + 3}.conv", 2 * width, width, 2 * ratio)
        width, place = 2 * width, place + 3
    yield from _conv(f"model.{place + 2}.conv", side.width, width, 3)


def _decoder(side: CodecSide) -> _Shapes:
    width, place = side.filters * 2 ** len(RATIOS), 0
    yield from _conv("model.0.conv", width, side.width, side.kernel)
    for ratio in RATIOS:
        yield f"model.{place + 2}.convtr.weight", (width, width // 2, 2 * ratio)
        yield f"model.{place + 2}.convtr.bias", (width // 2,)
        width, place = width // 2, place + 3
        yield from _block(f"model.{place}", width)
    yield from _conv(f"model.{place + 2}.conv", 1, width, 3)


def _codec_transformer(side: CodecSide) -> _Shapes:
    for layer in range(side.layers):
        scales = {f"layer_scale_{number}.scale": (side.width,) for number in (1, 2)}
        for name, shape in {**_layer(side.width, side.width, side.width, side.inner), **scales}.items():
            yield f"transformer.layers.{layer}.{name}", shape


def _layer(dim: int, queries: int, keys: int, inner: int) -> Mapping[str, Shape]:
    return {
        "self_attn.in_proj.weight": (queries + 2 * keys, dim),
        "self_attn.out_proj.weight": (dim, queries),
        "linear1.weight": (inner, dim),
        "linear2.weight": (dim, inner),
        **dict(_affine("norm1", dim)),
        **dict(_affine("norm2", dim)),
    }


def _block(name: str, width: int) -> _Shapes:
    yield from _conv(f"{name}.block.1.conv", width // 2, width, 3)
    yield from _conv(f"{name}.block.3.conv", width, width // 2, 1)


def _conv(name: str, out: int, into: int, kernel: int) -> _Shapes:
    yield f"{name}.weight", (out, into, kernel)
    yield f"{name}.bias", (out,)


def _linear(name: str, out: int, into: int) -> _Shapes:
    yield f"{name}.weight", (out, into)
    yield f"{name}.bias", (out,)


def _affine(name: str, dim: int) -> _Shapes:
    yield f"{name}.weight", (dim,)
    yield f"{name}.bias", (dim,)
