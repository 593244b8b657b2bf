"""Two graphs of ONNX, written from the tensors of a checkpoint: the converter and the embedder of voices.

In OpenVoice V2 the encoder and the decoder get a voice of zeros (`zero_g`). Only the flow gets the two
voices, so rows of different voices go through one graph together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from plugins.openvoice.sizes import (
    COUPLINGS,
    DILATIONS,
    ENCODER_LAYERS,
    FILTERS,
    FLOW_LAYERS,
    KERNELS,
    MEMORY,
    RATES,
    OpenVoiceSizes,
)

_OPSET: Final = 18
_IR_VERSION: Final = 10
_WEIGHTS: Final = "weights"
_KINDS: Final = dict.fromkeys(("first", "end"), TensorProto.INT64)
_SLOPE: Final = 0.1
_LAST_SLOPE: Final = 0.01
"""torch's own slope, which the last layer has."""


MadeGraph = tuple[bytes, Mapping[str, Any]]
"""The file of a graph, and its weights by name."""


class Graph:
    """A graph that grows. `arrays` are its weights by name, which are not in the file of the graph."""

    def __init__(self, tensors: Mapping[str, Any], sizes: OpenVoiceSizes) -> None:
        self.arrays: dict[str, Any] = {}
        self._tensors = tensors
        self._sizes = sizes
        self._nodes: list[Any] = []
        self._numbers: dict[str, Any] = {}

    def made(self, inputs: tuple[str, ...], value: str, output: str) -> bytes:
        """Return the file of the graph, whose `value` becomes the output."""
        self._nodes.append(helper.make_node("Identity", [value], [output]))
        values = [
            helper.make_tensor_value_info(name, _KINDS.get(name, TensorProto.FLOAT), None)
            for name in (*inputs, output)
        ]
        weights = [_outside(name, array) for name, array in self.arrays.items()]
        weights += [numpy_helper.from_array(array, name) for name, array in self._numbers.items()]
        graph = helper.make_graph(self._nodes, "openvoice", values[:-1], values[-1:], weights)
        opset = helper.make_opsetid("", _OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION)
        return bytes(model.SerializeToString())

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        return self.ops(kind, *inputs, count=1, **attributes)[0]

    def ops(self, kind: str, *inputs: str, count: int, **attributes: Any) -> list[str]:
        names = [f"v{len(self._nodes)}_{number}" for number in range(count)]
        self._nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names

    def constant(self, array: Any) -> str:
        name = f"c{len(self.arrays)}"
        # A copy: a view would keep the whole file in memory.
        self.arrays[name] = np.array(array, order="C")
        return name

    def numbers(self, *whole: int) -> str:
        """Return whole numbers, which onnxruntime must find in the file."""
        name = f"n{len(self._numbers)}"
        self._numbers[name] = np.array(whole, np.int64)
        return name

    def weight(self, name: str) -> Any:
        """Return a weight. One with a norm is a direction, over all axes but the first, and a length."""
        if f"{name}.weight" in self._tensors:
            return self._tensors[f"{name}.weight"]
        direction, length = self._tensors[f"{name}.weight_v"], self._tensors[f"{name}.weight_g"]
        norms = np.sqrt((direction.reshape(len(direction), -1) ** 2).sum(1))
        return direction * (length / norms.reshape(length.shape))

    def conv(self, x: str, name: str, pad: int = 0, dilation: int = 1, more: Any = 0.0) -> str:
        """Return a convolution over time. `more` is added to its bias."""
        weight = self.weight(name)
        bias = self._tensors.get(f"{name}.bias", np.zeros(len(weight), np.float32)) + more
        inputs = x, self.constant(weight), self.constant(bias.astype(np.float32))
        return self.op("Conv", *inputs, pads=[pad, pad], dilations=[dilation])

    def halves(self, x: str) -> list[str]:
        return self.ops("Split", x, count=2, axis=1, num_outputs=2)

    def wavenet(self, x: str, name: str, layers: int, voice: str = "") -> str:
        """Return the sum of the layers' outputs. Without a voice, its part is a constant."""
        both = 2 * self._sizes.width
        told = []
        if voice:
            told = self.ops(
                "Split", self.conv(voice, f"{name}.cond_layer"), count=layers, axis=1, num_outputs=layers
            )
        total = ""
        for layer in range(layers):
            fixed = (
                0.0 if voice else self._tensors[f"{name}.cond_layer.bias"][layer * both : (layer + 1) * both]
            )
            inner = self.conv(x, f"{name}.in_layers.{layer}", 2, more=fixed)
            if told:
                inner = self.op("Add", inner, told[layer])
            sound, gate = self.halves(inner)
            gated = self.op("Mul", self.op("Tanh", sound), self.op("Sigmoid", gate))
            out = self.conv(gated, f"{name}.res_skip_layers.{layer}")
            if layer < layers - 1:
                more, out = self.halves(out)
                x = self.op("Add", x, more)
            total = self.op("Add", total, out) if total else out
        return total

    def coupling(self, x: str, number: int, voice: str, kind: str) -> str:
        name = f"flow.flows.{number}"
        first, second = self.halves(x)
        inner = self.wavenet(self.conv(first, f"{name}.pre"), f"{name}.enc", FLOW_LAYERS, voice)
        second = self.op(kind, second, self.conv(inner, f"{name}.post"))
        return self.op("Concat", first, second, axis=1)

    def decoder(self, x: str) -> str:
        x = self.conv(x, "dec.conv_pre", 3, more=self._tensors["dec.cond.bias"])
        for stage, rate in enumerate(RATES):
            name, pad = f"dec.ups.{stage}", rate // 2
            inputs = self.constant(self.weight(name)), self.constant(self._tensors[f"{name}.bias"])
            x = self.op("LeakyRelu", x, alpha=_SLOPE)
            x = self.op("ConvTranspose", x, *inputs, strides=[rate], pads=[pad, pad])
            blocks = [
                self._block(x, f"dec.resblocks.{len(KERNELS) * stage + place}", kernel)
                for place, kernel in enumerate(KERNELS)
            ]
            x = self.op("Mul", self.op("Sum", *blocks), self.constant(np.float32(1 / len(blocks))))
        x = self.op("LeakyRelu", x, alpha=_LAST_SLOPE)
        return self.op("Tanh", self.conv(x, "dec.conv_post", 3))

    def _block(self, x: str, name: str, kernel: int) -> str:
        half = kernel // 2
        for layer, dilation in enumerate(DILATIONS):
            inner = self.op("LeakyRelu", x, alpha=_SLOPE)
            inner = self.conv(inner, f"{name}.convs1.{layer}", half * dilation, dilation)
            inner = self.op("LeakyRelu", inner, alpha=_SLOPE)
            x = self.op("Add", x, self.conv(inner, f"{name}.convs2.{layer}", half))
        return x


def converter(tensors: Mapping[str, Any], sizes: OpenVoiceSizes) -> MadeGraph:
    """Return the graph from `spectrum` (rows, bands, frames), `noise` (rows, width, frames), and the voices
    `source` and `target` (rows, size, 1) to `sound` (rows, 1, samples), and its weights.

    The decoder, which takes most of the time, gets the frames from `first` to `end`.
    """
    graph = Graph(tensors, sizes)
    x = graph.wavenet(graph.conv("spectrum", "enc_q.pre"), "enc_q.enc", ENCODER_LAYERS)
    mean, logs = graph.halves(graph.conv(x, "enc_q.proj"))
    x = graph.op("Add", mean, graph.op("Mul", "noise", graph.op("Exp", logs)))
    turned = graph.numbers(*reversed(range(sizes.width)))
    for number in COUPLINGS:
        x = graph.op("Gather", graph.coupling(x, number, "source", "Add"), turned, axis=1)
    for number in reversed(COUPLINGS):
        x = graph.coupling(graph.op("Gather", x, turned, axis=1), number, "target", "Sub")
    x = graph.op("Slice", x, "first", "end", graph.numbers(2))
    inputs = "spectrum", "noise", "source", "target", "first", "end"
    return graph.made(inputs, graph.decoder(x), "sound"), graph.arrays


def embedder(tensors: Mapping[str, Any], sizes: OpenVoiceSizes) -> MadeGraph:
    """Return the graph from `spectrum` (rows, frames, bands) to `voice` (1, rows, size), and its weights."""
    graph = Graph(tensors, sizes)
    norm = (graph.constant(tensors[f"ref_enc.layernorm.{part}"]) for part in ("weight", "bias"))
    x = graph.op("LayerNormalization", "spectrum", *norm, axis=-1)
    x = graph.op("Unsqueeze", x, graph.numbers(1))
    for layer in range(len(FILTERS) - 1):
        name = f"ref_enc.convs.{layer}"
        inputs = graph.constant(graph.weight(name)), graph.constant(tensors[f"{name}.bias"])
        x = graph.op("Relu", graph.op("Conv", x, *inputs, strides=[2, 2], pads=[1, 1, 1, 1]))
    # The frames come first, as the recurrent network of ONNX has them.
    x = graph.op("Transpose", x, perm=[2, 0, 1, 3])
    x = graph.op("Reshape", x, graph.numbers(0, 0, -1))
    weights = [_gates(tensors[f"ref_enc.gru.weight_{part}_l0"])[None] for part in ("ih", "hh")]
    biases = np.concatenate([_gates(tensors[f"ref_enc.gru.bias_{part}_l0"]) for part in ("ih", "hh")])[None]
    gates = map(graph.constant, (*weights, biases))
    # torch multiplies the reset gate after the product of the state.
    _, last = graph.ops("GRU", x, *gates, count=2, hidden_size=MEMORY, linear_before_reset=1)
    x = graph.op("MatMul", last, graph.constant(tensors["ref_enc.proj.weight"].T))
    x = graph.op("Add", x, graph.constant(tensors["ref_enc.proj.bias"]))
    return graph.made(("spectrum",), x, "voice"), graph.arrays


def _gates(stacked: Any) -> Any:
    """Return the gates of a GRU in ONNX's order: torch has the reset gate before the update gate."""
    reset, update, new = np.split(stacked, 3)
    return np.concatenate((update, reset, new))


def _outside(name: str, array: Any) -> Any:
    """Return a weight whose numbers are not in the file."""
    kind = helper.np_dtype_to_tensor_dtype(array.dtype)
    weight = TensorProto(name=name, data_type=kind, dims=array.shape, data_location=TensorProto.EXTERNAL)
    weight.external_data.append(onnx.StringStringEntryProto(key="location", value=_WEIGHTS))
    return weight
