"""The sizes of OpenVoice's converter, and the names and shapes of its tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Final, NamedTuple

RATE_HZ: Final = 22_050
FFT: Final = 1024
HOP: Final = 256
"""The samples of a frame."""
BANDS: Final = FFT // 2 + 1
ENCODER_LAYERS: Final = 16
FLOW_LAYERS: Final = 4
COUPLINGS: Final = (0, 2, 4, 6)
"""The numbers of the flow's couplings. The flips between them have no tensors."""
RATES: Final = (8, 8, 2, 2)
"""The factors of the decoder's stages. A kernel is twice as long."""
KERNELS: Final = (3, 7, 11)
DILATIONS: Final = (1, 3, 5)
FILTERS: Final = (1, 32, 32, 64, 64, 128, 128)
MEMORY: Final = 128
"""The width of the embedder's recurrent network."""
_WAVENET_KERNEL: Final = 5
_END_KERNEL: Final = 7

Shape = tuple[int, ...]


class OpenVoiceSizes(NamedTuple):
    """The sizes in which models may differ: the width of the encoder and of the flow, that of the decoder's
    first layer, and that of a voice."""

    name: str
    width: int
    decoder: int
    voice: int


PUBLISHED: Final = (OpenVoiceSizes("v2", 192, 512, 256),)


def shapes_of(sizes: OpenVoiceSizes) -> Mapping[str, Shape]:
    """Return the names and shapes of all tensors of a model."""
    return dict((*_encoder(sizes), *_flow(sizes), *_decoder(sizes), *_embedder(sizes)))


def _conv(name: str, *weight: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", weight
    yield f"{name}.bias", weight[:1]


def _normed(name: str, *weight: int, out: int = 0) -> Iterator[tuple[str, Shape]]:
    """Yield the parts of a weight that has a norm. `out` is the width of a transposed one."""
    yield f"{name}.weight_v", weight
    yield f"{name}.weight_g", (weight[0], *(1 for _ in weight[1:]))
    yield f"{name}.bias", (out or weight[0],)


def _wavenet(name: str, layers: int, sizes: OpenVoiceSizes) -> Iterator[tuple[str, Shape]]:
    width = sizes.width
    yield from _normed(f"{name}.cond_layer", 2 * width * layers, sizes.voice, 1)
    for layer in range(layers):
        yield from _normed(f"{name}.in_layers.{layer}", 2 * width, width, _WAVENET_KERNEL)
        both = 2 * width if layer < layers - 1 else width
        yield from _normed(f"{name}.res_skip_layers.{layer}", both, width, 1)


def _encoder(sizes: OpenVoiceSizes) -> Iterator[tuple[str, Shape]]:
    yield from _conv("enc_q.pre", sizes.width, BANDS, 1)
    yield from _wavenet("enc_q.enc", ENCODER_LAYERS, sizes)
    yield from _conv("enc_q.proj", 2 * sizes.width, sizes.width, 1)


def _flow(sizes: OpenVoiceSizes) -> Iterator[tuple[str, Shape]]:
    for number in COUPLINGS:
        name = f"flow.flows.{number}"
        yield from _conv(f"{name}.pre", sizes.width, sizes.width // 2, 1)
        yield from _wavenet(f"{name}.enc", FLOW_LAYERS, sizes)
        yield from _conv(f"{name}.post", sizes.width // 2, sizes.width, 1)


def _decoder(sizes: OpenVoiceSizes) -> Iterator[tuple[str, Shape]]:
    yield from _conv("dec.conv_pre", sizes.decoder, sizes.width, _END_KERNEL)
    yield from _conv("dec.cond", sizes.decoder, sizes.voice, 1)
    width = sizes.decoder
    for stage, rate in enumerate(RATES):
        yield from _normed(f"dec.ups.{stage}", width, width // 2, 2 * rate, out=width // 2)
        width //= 2
        for place, kernel in enumerate(KERNELS):
            block = f"dec.resblocks.{len(KERNELS) * stage + place}"
            for layer in range(len(DILATIONS)):
                yield from _normed(f"{block}.convs1.{layer}", width, width, kernel)
                yield from _normed(f"{block}.convs2.{layer}", width, width, kernel)
    yield "dec.conv_post.weight", (1, width, _END_KERNEL)


def _embedder(sizes: OpenVoiceSizes) -> Iterator[tuple[str, Shape]]:
    yield from (("ref_enc.layernorm.weight", (BANDS,)), ("ref_enc.layernorm.bias", (BANDS,)))
    bands = BANDS
    for layer, (before, after) in enumerate(pairwise(FILTERS)):
        yield from _normed(f"ref_enc.convs.{layer}", after, before, 3, 3)
        bands = (bands + 1) // 2
    for part, width in (("ih", FILTERS[-1] * bands), ("hh", MEMORY)):
        yield f"ref_enc.gru.weight_{part}_l0", (3 * MEMORY, width)
        yield f"ref_enc.gru.bias_{part}_l0", (3 * MEMORY,)
    yield from _conv("ref_enc.proj", sizes.voice, MEMORY)
