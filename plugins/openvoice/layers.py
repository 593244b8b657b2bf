"""The layers of OpenVoice's two networks, told once: for the shapes of their tensors, and for their graphs.

In OpenVoice V2 the encoder and the decoder get a voice of zeros (`zero_g`). Only the flow gets the two
voices, so rows of different voices go through one graph together.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final, NamedTuple

FFT: Final = 1024
_BANDS: Final = FFT // 2 + 1
_ENCODER_LAYERS: Final = 16
_FLOW_LAYERS: Final = 4
_COUPLINGS: Final = (0, 2, 4, 6)
"""The numbers of the flow's couplings. The flips between them have no tensors."""
_RATES: Final = (8, 8, 2, 2)
"""The factors of the decoder's stages. A kernel is twice as long."""
_KERNELS: Final = (3, 7, 11)
_DILATIONS: Final = (1, 3, 5)
_SLOPE: Final = 0.1
_LAST_SLOPE: Final = 0.01
"""torch's own slope, which the last layer has."""
_FILTERS: Final = (1, 32, 32, 64, 64, 128, 128)
_MEMORY: Final = 128
"""The width of the embedder's recurrent network."""

Shape = tuple[int, ...]


class OpenVoiceSizes(NamedTuple):
    """The sizes in which models may differ: the width of the encoder and of the flow, that of the decoder's
    first layer, and that of a voice."""

    name: str
    width: int
    decoder: int
    voice: int


PUBLISHED: Final = OpenVoiceSizes("v2", 192, 512, 256)


class Layers:
    """Both networks, as a walk along their layers. Here it only notes the `shapes` of the tensors; a graph
    notes the operators too. Values and tensors go by their names."""

    def __init__(self, sizes: OpenVoiceSizes) -> None:
        self.shapes: dict[str, Shape] = {}
        self._sizes = sizes

    def ops(self, kind: str, *inputs: str, count: int, **attributes: Any) -> list[str]:
        """Note an operator. Return its outputs."""
        del kind, inputs, attributes
        return [""] * count

    def converter(self) -> str:
        """Make `spectrum` (rows, bands, frames), `noise` (rows, width, frames), and the voices `source` and
        `target` (rows, size, 1) the sound (rows, 1, samples).

        The decoder, which takes most of the time, gets the frames from `first` to `end`.
        """
        width = self._sizes.width
        nobody = self._op("ConstantOfShape", self._numbers(1, self._sizes.voice, 1))
        x = self._conv("spectrum", "enc_q.pre", width, _BANDS, 1)
        x = self._wavenet(x, "enc_q.enc", _ENCODER_LAYERS, nobody)
        mean, logs = self._split(self._conv(x, "enc_q.proj", 2 * width, width, 1))
        x = self._op("Add", mean, self._op("Mul", "noise", self._op("Exp", logs)))
        turned = self._numbers(*reversed(range(width)))
        for number in _COUPLINGS:
            x = self._op("Gather", self._coupling(x, number, "source", "Add"), turned, axis=1)
        for number in reversed(_COUPLINGS):
            x = self._coupling(self._op("Gather", x, turned, axis=1), number, "target", "Sub")
        return self._decoder(self._op("Slice", x, "first", "end", self._numbers(2)), nobody)

    def embedder(self) -> str:
        """Make `spectrum` (rows, frames, bands) the voice (1, rows, size)."""
        norm = [self._tensor(f"ref_enc.layernorm.{part}", _BANDS) for part in ("weight", "bias")]
        x = self._op("LayerNormalization", "spectrum", *norm, axis=-1)
        x = self._op("Unsqueeze", x, self._numbers(1))
        bands = _BANDS
        for layer, (before, after) in enumerate(pairwise(_FILTERS)):
            where, pads = f"ref_enc.convs.{layer}", [1, 1, 1, 1]
            x = self._normed("Conv", x, where, after, before, 3, 3, strides=[2, 2], pads=pads)
            x = self._op("Relu", x)
            bands = (bands + 1) // 2
        # The frames come first, as the recurrent network of ONNX has them.
        x = self._op("Transpose", x, perm=[2, 0, 1, 3])
        x = self._op("Reshape", x, self._numbers(0, 0, -1))
        weights = self._gates("weight_ih", _FILTERS[-1] * bands), self._gates("weight_hh", _MEMORY)
        biases = self._op("Concat", self._gates("bias_ih"), self._gates("bias_hh"), axis=0)
        gates = [self._op("Unsqueeze", each, self._numbers(0)) for each in (*weights, biases)]
        # torch multiplies the reset gate after the product of the state.
        _, last = self.ops("GRU", x, *gates, count=2, hidden_size=_MEMORY, linear_before_reset=1)
        weight = self._tensor("ref_enc.proj.weight", self._sizes.voice, _MEMORY)
        x = self._op("MatMul", last, self._op("Transpose", weight))
        return self._op("Add", x, self._tensor("ref_enc.proj.bias", self._sizes.voice))

    def _op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        return self.ops(kind, *inputs, count=1, **attributes)[0]

    def _split(self, x: str, count: int = 2, axis: int = 1) -> list[str]:
        return self.ops("Split", x, count=count, axis=axis, num_outputs=count)

    def _numbers(self, *whole: int) -> str:
        return self._op("Constant", value_ints=whole)

    def _tensor(self, name: str, *shape: int) -> str:
        self.shapes[name] = shape
        return name

    def _conv(self, x: str, name: str, *weight: int, pad: int = 0) -> str:
        """Add a convolution over time."""
        inputs = self._tensor(f"{name}.weight", *weight), self._tensor(f"{name}.bias", weight[0])
        return self._op("Conv", x, *inputs, pads=[pad, pad])

    def _normed(self, kind: str, x: str, name: str, *weight: int, out: int = 0, **attributes: Any) -> str:
        """Add a convolution whose weight is a direction, over all axes but the first, and a length."""
        self._tensor(f"{name}.weight_v", *weight)
        self._tensor(f"{name}.weight_g", weight[0], *(1 for _ in weight[1:]))
        bias = self._tensor(f"{name}.bias", out or weight[0])
        return self._op(kind, x, f"{name}.weight", bias, **attributes)

    def _wavenet(self, x: str, name: str, layers: int, voice: str) -> str:
        """Add layers with gates. The result is the sum of their outputs."""
        width, outs = self._sizes.width, []
        told = self._normed("Conv", voice, f"{name}.cond_layer", 2 * width * layers, self._sizes.voice, 1)
        for layer, part in enumerate(self._split(told, layers)):
            where = f"{name}.in_layers.{layer}"
            inner = self._op("Add", part, self._normed("Conv", x, where, 2 * width, width, 5, pads=[2, 2]))
            sound, gate = self._split(inner)
            gated = self._op("Mul", self._op("Tanh", sound), self._op("Sigmoid", gate))
            is_last = layer == layers - 1
            both, where = width if is_last else 2 * width, f"{name}.res_skip_layers.{layer}"
            out = self._normed("Conv", gated, where, both, width, 1)
            if not is_last:
                more, out = self._split(out)
                x = self._op("Add", x, more)
            outs.append(out)
        return self._op("Sum", *outs)

    def _coupling(self, x: str, number: int, voice: str, kind: str) -> str:
        name, width = f"flow.flows.{number}", self._sizes.width
        first, second = self._split(x)
        inner = self._conv(first, f"{name}.pre", width, width // 2, 1)
        inner = self._wavenet(inner, f"{name}.enc", _FLOW_LAYERS, voice)
        second = self._op(kind, second, self._conv(inner, f"{name}.post", width // 2, width, 1))
        return self._op("Concat", first, second, axis=1)

    def _decoder(self, x: str, voice: str) -> str:
        width = self._sizes.decoder
        x = self._conv(x, "dec.conv_pre", width, self._sizes.width, 7, pad=3)
        x = self._op("Add", x, self._conv(voice, "dec.cond", width, self._sizes.voice, 1))
        for stage, rate in enumerate(_RATES):
            x = self._op("LeakyRelu", x, alpha=_SLOPE)
            where, shape, pads = f"dec.ups.{stage}", (width, width // 2, 2 * rate), [rate // 2] * 2
            width //= 2
            x = self._normed("ConvTranspose", x, where, *shape, out=width, strides=[rate], pads=pads)
            first = len(_KERNELS) * stage
            blocks = [self._block(x, first + place, width, kernel) for place, kernel in enumerate(_KERNELS)]
            x = self._op("Mean", *blocks)
        x = self._op("LeakyRelu", x, alpha=_LAST_SLOPE)
        weight = self._tensor("dec.conv_post.weight", 1, width, 7)
        return self._op("Tanh", self._op("Conv", x, weight, pads=[3, 3]))

    def _block(self, x: str, number: int, width: int, kernel: int) -> str:
        half = kernel // 2
        for layer, dilation in enumerate(_DILATIONS):
            inner = x
            for part, apart in (("convs1", dilation), ("convs2", 1)):
                where, shape = f"dec.resblocks.{number}.{part}.{layer}", (width, width, kernel)
                inner, pads = self._op("LeakyRelu", inner, alpha=_SLOPE), [half * apart] * 2
                inner = self._normed("Conv", inner, where, *shape, pads=pads, dilations=[apart])
            x = self._op("Add", x, inner)
        return x

    def _gates(self, name: str, *width: int) -> str:
        """Return the gates of a GRU in ONNX's order: torch has the reset gate before the update gate."""
        stacked = self._tensor(f"ref_enc.gru.{name}_l0", 3 * _MEMORY, *width)
        reset, update, new = self._split(stacked, 3, axis=0)
        return self._op("Concat", update, reset, new, axis=0)


def shapes_of(sizes: OpenVoiceSizes) -> Mapping[str, Shape]:
    """Return the names and shapes of all tensors of a model."""
    layers = Layers(sizes)
    layers.converter()
    layers.embedder()
    return layers.shapes
