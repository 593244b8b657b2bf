"""The cut of an ONNX file into two: what comes before a value, and what makes the sound of it.

The messages of nodes and tensors are copied as they are. The cut is where the operator with a certain weight
starts. A file is cut only if its second half can work in windows (`onnx_windows.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from speech_engine.model_declarations import UnusableModel
from speech_engine.model_files import protobuf
from speech_engine.model_files.onnx import GRAPH, MODEL, read_graph, read_parts
from speech_engine.model_files.onnx_parts import GraphPart, NodePart
from speech_engine.model_files.onnx_windows import find_reach

_MOST_SHARED_BYTES = 4096
"""The largest tensor that both halves may have: a copy of weights would make the files longer."""
_FLOAT32 = 1
# The numbers of fields in the messages, as `onnx.py` has them.
_MODEL_GRAPH, _NODE, _NAME, _TENSOR, _INPUT, _OUTPUT = 7, 1, 2, 5, 11, 12

Pieces = tuple[bytes | memoryview, ...]
"""A file in pieces that follow one another."""


class _Half(NamedTuple):
    """A half of the graph. `nodes` are indices of its operators in the whole graph, in order."""

    nodes: Sequence[int]
    inputs: Sequence[str]
    outputs: Sequence[str]


def cut_graph(data: memoryview, weight: str, steady_weight: str) -> tuple[Pieces, Pieces] | None:
    """Cut a whole file where the convolution with `weight` starts. Raise UnusableModel for a file, or a half
    of it, that `read_graph` would refuse. Return None if there is no such place, or if the second
    half cannot work in windows.

    Beside the value before it, the result of a convolution with `steady_weight` may pass the cut: it belongs
    to a speaker, and does not change in time.
    """
    parts = read_parts(data)
    cut = _find_cut(parts, weight, steady_weight)
    if cut is None:
        return None
    messages = _Messages(data, parts)
    before, after = (messages.half_file(half) for half in cut)
    read_graph(memoryview(b"".join(before)))
    decoder = read_graph(memoryview(b"".join(after)))
    return (before, after) if find_reach(decoder, cut[1].inputs[0]) else None


def _find_cut(parts: GraphPart, weight: str, steady_weight: str) -> tuple[_Half, _Half] | None:
    starts = [index for index, node in enumerate(parts.nodes) if _has_weight(node, weight)]
    tensor = parts.tensors.get(weight)
    if any(isinstance(value, GraphPart) for node in parts.nodes for value in node.attributes.values()):
        return None  # a graph inside of an operator may use any value
    if len(starts) != 1 or tensor is None or tensor.info.dtype != "F32" or len(parts.outputs) != 1:
        return None
    frames = parts.nodes[starts[0]].inputs[0]
    after = _dependents(parts, starts[0])
    before = [
        index
        for index in range(len(parts.nodes))
        if index not in after or parts.nodes[index].operator == "Constant"
    ]
    made_by = {name: parts.nodes[index] for index in before for name in parts.nodes[index].outputs}
    made_after = {name for index in after for name in parts.nodes[index].outputs}
    needed = dict.fromkeys(name for index in after for name in parts.nodes[index].inputs if name)
    passing = [name for name in needed if name not in made_after and name not in parts.tensors]
    if any(name != frames and not _has_weight(made_by.get(name), steady_weight) for name in passing):
        return None
    if frames not in made_by or made_after.isdisjoint(parts.outputs):
        return None
    passing = [frames, *(name for name in passing if name != frames)]
    inputs = [name for name in parts.inputs if name not in parts.tensors]
    halves = _Half(before, inputs, passing), _Half(sorted(after), passing, tuple(parts.outputs))
    shared = set.intersection(*(set(_weights_of(parts, half)) for half in halves))
    if any(parts.tensors[name].info.bytes > _MOST_SHARED_BYTES for name in shared):
        return None
    return halves if all(_is_in_order(parts, half) for half in halves) else None


def _dependents(parts: GraphPart, begin: int) -> set[int]:
    """Return the operators that depend on one, with itself, and the constants that these need."""
    after, made_after = {begin}, set(parts.nodes[begin].outputs)
    for index, node in enumerate(parts.nodes):
        if made_after.intersection(filter(None, node.inputs)):
            after.add(index)
            made_after.update(node.outputs)
    needed = {name for index in after for name in parts.nodes[index].inputs}
    constants = (index for index, node in enumerate(parts.nodes) if node.operator == "Constant")
    return after.union(index for index in constants if needed.intersection(parts.nodes[index].outputs))


def _has_weight(node: NodePart | None, weight: str) -> bool:
    return node is not None and node.operator == "Conv" and node.inputs[1:2] == (weight,)


def _weights_of(parts: GraphPart, half: _Half) -> dict[str, None]:
    used = (name for index in half.nodes for name in parts.nodes[index].inputs)
    return dict.fromkeys(name for name in used if name in parts.tensors)


def _is_in_order(parts: GraphPart, half: _Half) -> bool:
    """Tell whether each operator finds what it uses: a half would fail where the whole does not."""
    known = {"", *half.inputs, *parts.tensors}
    for index in half.nodes:
        node = parts.nodes[index]
        if not known.issuperset(node.inputs):
            return False
        known.update(node.outputs)
    return known.issuperset(half.outputs)


class _Messages:
    """The messages of a file, in the order of its parts."""

    def __init__(self, data: memoryview, parts: GraphPart) -> None:
        self._parts = parts
        reader = protobuf.MessageReader()
        self._model: list[tuple[int, protobuf.Value]] = []
        graph = memoryview(b"")
        numbers = {name: number for number, (name, _) in MODEL.items()}
        for name, value in reader.fields(data, MODEL, "the model"):
            if name == "graph":
                graph = protobuf.bytes_of(value)
            elif name in ("version of the format", "operators"):
                self._model.append((numbers[name], value))
        found: dict[str, list[memoryview]] = {"node": [], "initializer": [], "input": [], "output": []}
        for name, value in reader.fields(graph, GRAPH, "a graph"):
            if name in found:
                found[name].append(protobuf.bytes_of(value))
        self._nodes = found["node"]
        self._tensors = _by_name(parts.tensors, found["initializer"])
        self._values = _by_name(parts.inputs, found["input"]) | _by_name(parts.outputs, found["output"])

    def half_file(self, half: _Half) -> Pieces:
        """Return a half as a file."""
        graph = [
            *(piece for index in half.nodes for piece in protobuf.field_pieces(_NODE, self._nodes[index])),
            *protobuf.field_pieces(_NAME, b"half"),
            *(
                piece
                for name in _weights_of(self._parts, half)
                for piece in protobuf.field_pieces(_TENSOR, self._tensors[name])
            ),
            *(
                piece
                for name in half.inputs
                for piece in protobuf.field_pieces(_INPUT, self._value_message(name))
            ),
            *(
                piece
                for name in half.outputs
                for piece in protobuf.field_pieces(_OUTPUT, self._value_message(name))
            ),
        ]
        head = [piece for number, value in self._model for piece in protobuf.field_pieces(number, value)]
        return (*head, protobuf.field_head(_MODEL_GRAPH, sum(map(len, graph))), *graph)

    def _value_message(self, name: str) -> bytes | memoryview:
        """Return the message of an input or output. A value at the cut is float32 in three dimensions."""
        if name in self._values:
            return self._values[name]
        shape = b"".join(b"".join(protobuf.field_pieces(1, b"")) for _ in range(3))
        kind = b"".join((*protobuf.field_pieces(1, _FLOAT32), *protobuf.field_pieces(2, shape)))
        tensor = b"".join(protobuf.field_pieces(1, kind))
        return b"".join((*protobuf.field_pieces(1, name.encode()), *protobuf.field_pieces(2, tensor)))


def _by_name(names: Mapping[str, object], messages: Sequence[memoryview]) -> dict[str, memoryview]:
    # A name that stands twice has one entry among the parts.
    if len(names) != len(messages):
        raise UnusableModel("it has two initializers, inputs or outputs of one name")
    return dict(zip(names, messages, strict=True))
