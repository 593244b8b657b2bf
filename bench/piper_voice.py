"""A voice of Piper's proportions with random weights: what it says is noise, and it costs what speech costs.

The sizes are those of a voice of medium quality: a text encoder of six layers, a flow of four, and a decoder
that makes 256 samples of each frame.
"""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path

import numpy as np

from tests import onnx_bytes as onnx
from tests.plugins.piper import tiny

WIDTH, WIDE, ENCODER_LAYERS = 192, 768, 6
FLOWS, FLOW_LAYERS, FLOW_KERNEL = 4, 4, 5
RATES, KERNELS, CHANNELS = (8, 8, 4), (16, 16, 8), 256
BLOCKS = ((3, (1, 2)), (5, (2, 6)), (7, (3, 12)))
FRAMES_A_SYMBOL = 3
"""With a pad after each sound, about as fast as people speak."""


class _Network:
    """Operators in a row, and their weights."""

    def __init__(self) -> None:
        self.nodes: list[bytes] = []
        self.tensors: list[bytes] = []
        self.parameters = 0
        self._names = (f"t{number}" for number in count())
        self._chance = np.random.default_rng(7)

    def weights(self, *shape: int) -> str:
        name = next(self._names)
        fan_in = float(np.prod(shape[1:]))
        values = self._chance.normal(0, 1 / np.sqrt(fan_in), shape).astype("<f4")
        self.tensors.append(onnx.tensor(name, onnx.FLOAT, shape, values.tobytes()))
        self.parameters += values.size
        return name

    def apply(self, operator: str, inputs: str, *attributes: bytes) -> str:
        name = next(self._names)
        self.nodes.append(onnx.node(operator, inputs, name, *attributes))
        return name

    def split(self, given: str) -> tuple[str, str]:
        one, other = next(self._names), next(self._names)
        self.nodes.append(onnx.node("Split", given, one, onnx.attribute("axis", 1)) + onnx.part(2, other))
        return one, other

    def conv(self, given: str, wide: int, made: int, kernel: int, dilation: int = 1) -> str:
        pad = (kernel - 1) * dilation // 2
        weights = self.weights(made, wide, kernel)
        places = onnx.attribute("dilations", [dilation]), onnx.attribute("pads", [pad, pad])
        return self.apply("Conv", f"{given} {weights}", *places)


def write_voice(folder: Path) -> int:
    """Write the voice as it is stored. Return how many parameters it has."""
    folder.mkdir(parents=True, exist_ok=True)
    net = _Network()
    sound = _decoded(net, _flowed(net, _spread(net, _encoded(net))))
    net.nodes.append(onnx.node("Identity", sound, "output"))
    inputs = [
        onnx.value("input", onnx.INT64, "batch", "phonemes"),
        onnx.value("input_lengths", onnx.INT64, "batch"),
        onnx.value("scales", onnx.FLOAT, 3),
    ]
    outputs = [onnx.value("output", onnx.FLOAT, "batch", 1, "time")]
    (folder / "voice.onnx").write_bytes(onnx.model(onnx.graph(net.nodes, net.tensors, inputs, outputs)))
    (folder / "voice.json").write_text(json.dumps(tiny.config()))
    return net.parameters


def _encoded(net: _Network) -> str:
    table = net.weights(len(tiny.SYMBOLS), WIDTH)
    found = net.apply("Gather", f"{table} input")
    x = net.apply("Transpose", found, onnx.attribute("perm", [0, 2, 1]))
    for _ in range(ENCODER_LAYERS):
        query, key, value = (net.conv(x, WIDTH, WIDTH, 1) for _ in range(3))
        turned = net.apply("Transpose", query, onnx.attribute("perm", [0, 2, 1]))
        scores = net.apply("MatMul", f"{turned} {key}")
        weighed = net.apply("Softmax", scores, onnx.attribute("axis", -1))
        back = net.apply("Transpose", weighed, onnx.attribute("perm", [0, 2, 1]))
        x = net.apply("Add", f"{x} {net.conv(net.apply('MatMul', f'{value} {back}'), WIDTH, WIDTH, 1)}")
        wide = net.apply("Relu", net.conv(x, WIDTH, WIDE, 3))
        x = net.apply("Tanh", net.apply("Add", f"{x} {net.conv(wide, WIDE, WIDTH, 3)}"))
    return x


def _spread(net: _Network, x: str) -> str:
    """Give each symbol its frames, and some noise of the runtime's own."""
    net.tensors += [onnx.ints("last", [3]), onnx.ints("frames", [1, 1, 1, FRAMES_A_SYMBOL])]
    net.tensors.append(onnx.ints("flat", [1, WIDTH, -1]))
    repeated = net.apply("Tile", f"{net.apply('Unsqueeze', f'{x} last')} frames")
    x = net.apply("Reshape", f"{repeated} flat")
    return net.apply("Add", f"{x} {net.apply('RandomNormalLike', x)}")


def _flowed(net: _Network, x: str) -> str:
    for _ in range(FLOWS):
        for _ in range(FLOW_LAYERS):
            both = net.conv(x, WIDTH, 2 * WIDTH, FLOW_KERNEL)
            halves = net.split(both)
            gate = net.apply("Mul", f"{net.apply('Tanh', halves[0])} {net.apply('Sigmoid', halves[1])}")
            x = net.apply("Add", f"{x} {net.conv(gate, WIDTH, WIDTH, 1)}")
    return x


def _decoded(net: _Network, x: str) -> str:
    x, channels = net.conv(x, WIDTH, CHANNELS, 7), CHANNELS
    for rate, kernel in zip(RATES, KERNELS, strict=True):
        pad = (kernel - rate) // 2
        places = onnx.attribute("strides", [rate]), onnx.attribute("pads", [pad, pad])
        up = net.weights(channels, channels // 2, kernel)
        x = net.apply("ConvTranspose", f"{net.apply('LeakyRelu', x)} {up}", *places)
        channels //= 2
        sums = []
        for size, dilations in BLOCKS:
            y = x
            for dilation in dilations:
                y = net.apply(
                    "Add", f"{y} {net.conv(net.apply('LeakyRelu', y), channels, channels, size, dilation)}"
                )
            sums.append(y)
        x = net.apply("Add", f"{net.apply('Add', ' '.join(sums[:2]))} {sums[2]}")
    return net.apply("Tanh", net.conv(net.apply("LeakyRelu", x), channels, 1, 7))
