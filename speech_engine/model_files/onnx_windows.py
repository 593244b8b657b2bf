"""How far the operators of a graph look to either side of a place in time.

A graph of nothing but convolutions and arithmetic makes the same numbers in windows as in one run, if each
window has so many more frames on both sides. Time is the last dimension.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from fractions import Fraction
from typing import NamedTuple

from speech_engine.model_declarations import OnnxGraph, OnnxNode, TensorInfo
from speech_engine.model_files.onnx_parts import OnnxTensor

_UNARY_OPERATORS = ("Identity", "LeakyRelu", "Relu", "Sigmoid", "Tanh")
_BINARY_OPERATORS = ("Add", "Sub", "Mul", "Div")
_CONVOLUTIONS = ("Conv", "ConvTranspose")
_USUAL_PADDING = ("NOTSET", None)
_MOST_HOP = 1 << 16


class Reach(NamedTuple):
    """A frame is `hop` samples, which depend on so many `frames` before it and after it."""

    frames: int
    hop: int


class _TimedValue(NamedTuple):
    """A value with `rate` numbers for each frame, and how many frames it depends on, to either side."""

    rate: int
    reach: Fraction


def find_reach(graph: OnnxGraph, frames: str) -> Reach | None:
    """Return the reach of a graph's only output into its input `frames`; other inputs do not change in time.

    Return None for an operator that may look everywhere.
    """
    timed = {frames: _TimedValue(1, Fraction(0))}
    steady = set(graph.inputs) - {frames} | {
        name for name, info in graph.tensors.items() if _is_constant_in_time(info)
    }
    for node in graph.nodes:
        if node.operator == "Constant":
            values = list(node.attributes.values())
            if (
                len(values) == 1
                and isinstance(values[0], OnnxTensor)
                and _is_constant_in_time(values[0].info)
            ):
                steady.update(node.outputs)
            continue
        found = _reach_of_node(node, timed, steady, graph)
        if found is None or found.rate > _MOST_HOP or len(node.outputs) != 1:
            return None
        timed[node.outputs[0]] = found
    sounds = [timed[name] for name in graph.outputs if name in timed]
    if len(graph.outputs) != 1 or not sounds:
        return None
    return Reach(math.ceil(sounds[0].reach), sounds[0].rate)


def _reach_of_node(
    node: OnnxNode, timed: Mapping[str, _TimedValue], steady: Collection[str], graph: OnnxGraph
) -> _TimedValue | None:
    first = timed.get(node.inputs[0]) if node.inputs else None
    if node.operator in _CONVOLUTIONS and first and len(node.inputs) in (2, 3):
        weights = graph.tensors.get(node.inputs[1])
        return _reach_of_convolution(node, first, weights) if weights and len(weights.shape) == 3 else None
    if node.operator in _UNARY_OPERATORS and len(node.inputs) == 1:
        return first
    # After that, no other operator would find time in its place.
    if node.operator == "Unsqueeze" and node.outputs[0] in graph.outputs:
        return first
    if node.operator not in _BINARY_OPERATORS:
        return None
    moving = [timed[name] for name in node.inputs if name in timed]
    if not all(name in timed or name in steady for name in node.inputs):
        return None
    if len({each.rate for each in moving}) != 1:
        return None
    return _TimedValue(moving[0].rate, max(each.reach for each in moving))


def _is_constant_in_time(stored: TensorInfo) -> bool:
    return stored.shape[-1:] in ((), (1,))


def _reach_of_convolution(node: OnnxNode, source: _TimedValue, weights: TensorInfo) -> _TimedValue | None:
    """Return the reach of a convolution that keeps every frame in its place, else None."""
    size = weights.shape[-1]
    stride, dilation = (
        _common_number(node.attributes.get(name, (1,)), 1) for name in ("strides", "dilations")
    )
    before = _common_number(node.attributes.get("pads", (0, 0)), 2)
    known = {"kernel_shape", "strides", "dilations", "pads", "group", "auto_pad"}
    is_known = not node.attributes.keys() - known and node.attributes.get("auto_pad") in _USUAL_PADDING
    if not is_known or min(stride, dilation) < 1 or before < 0:
        return None
    if node.operator == "Conv":
        keeps_length = stride == 1 and 2 * before == (size - 1) * dilation
        return (
            _TimedValue(source.rate, source.reach + Fraction(before, source.rate)) if keeps_length else None
        )
    if dilation != 1 or size - stride != 2 * before:
        return None
    return _TimedValue(
        source.rate * stride, source.reach + Fraction(size + stride - 2, 2 * stride * source.rate)
    )


def _common_number(value: object, count: int) -> int:
    """Return the number that a list has so many times, else -1."""
    is_list = isinstance(value, tuple) and len(value) == count and len(set(value)) == 1
    return int(value[0]) if is_list and isinstance(value, tuple) else -1
