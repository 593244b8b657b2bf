"""The limits of a graph: the size of its operators' outputs, and the inputs of other libraries' operators.

Only sizes that lie in the file are checked. Sizes that are computed at run time, or grow from one operator to
the next, are bounded only by the memory of the host (`memory_mb`): these rules find the usual bomb early.
Names are looked up as a runtime does it: in the graph itself first, then in those around it.

Operators of another domain are onnxruntime's: it puts them in place of ONNX's own when it quantizes a
network. Versions of onnxruntime have read beyond weights whose shapes did not fit, so these weights must be
in the file, in the only shapes that fit.
"""

from __future__ import annotations

import math
from collections import ChainMap
from collections.abc import Callable, Mapping

from speech_engine.model_declarations import TensorInfo, UnusableModel
from speech_engine.model_files.onnx_parts import MOST_DIMENSIONS, GraphPart, NodePart, OnnxTensor

MICROSOFT = "com.microsoft"
MOST_HIDDEN = 4_096
"""The most cells of a layer with memory. Voices have some hundreds."""

Scope = Mapping[str, OnnxTensor | None]
"""The stored tensors that an operator can name. None stands for an input of the graph, or for the output of
another operator."""

_DIRECTIONS = {"forward": 1, "reverse": 1, "bidirectional": 2}
_GATES = 4
_LSTM_INPUTS = (
    *("sound", "weights", "recurrence", "bias", "lengths", "hidden", "cells", "peepholes"),
    *("scale of weights", "zero of weights", "scale of recurrence", "zero of recurrence"),
)
_INTEGER_TYPES = ("I8", "U8")
_SWITCHES = ("transA", "transB")
_ZERO_SWITCHES = ("transBatchA", "transBatchB")


def judge_foreign_operator(node: NodePart, known: Scope) -> None:
    """Refuse an operator whose inputs are not as required. Raise UnusableModel."""
    check = _CHECKS.get((node.domain, node.operator))
    if check is None:
        raise UnusableModel(f"nobody knows what {node.operator[:40]} of {node.domain[:80]} must be given")
    check(_Operator(node, known))


class _Operator:
    def __init__(self, node: NodePart, known: Scope) -> None:
        self._node = node
        self._known = known

    def fault(self, what: str) -> UnusableModel:
        return UnusableModel(f"its operator {self._node.operator} {what}")

    def inputs_by_role(self, roles: tuple[str, ...], required: int) -> dict[str, str]:
        """Return the names of its tensors by `roles`, of which the first ones are required. A tensor that is
        left out has an empty name."""
        given = self._node.inputs
        if not required <= len(given) <= len(roles) or not all(given[:required]):
            raise self.fault("has too few inputs, or too many")
        return dict(zip(roles, (*given, *("",) * (len(roles) - len(given))), strict=True))

    def refuse_other_attributes(self, *names: str) -> None:
        """Refuse any attribute but these."""
        for name in self._node.attributes.keys() - set(names):
            raise self.fault(f"has an attribute {name[:40]!r}, which no voice needs")

    def number(self, name: str, least: int, most: int, usual: int | None = None) -> int:
        value = self._node.attributes.get(name, usual)
        if not isinstance(value, int) or not least <= value <= most:
            raise self.fault(f"must have a {name} from {least} to {most}")
        return value

    def text(self, name: str, usual: str) -> str:
        value = self._node.attributes.get(name, usual)
        return value if isinstance(value, str) else ""

    def stored_info(self, name: str) -> TensorInfo | None:
        """Return the type and shape of a stored tensor; None if it is made at run time, or is left out."""
        stored = self._known.get(name) if name else None
        return stored.info if stored else None

    def require_stored(
        self, what: str, name: str, dtypes: tuple[str, ...], *shapes: tuple[int, ...]
    ) -> TensorInfo:
        """Return a tensor that must lie in the file, with one of these types and shapes."""
        info = self.stored_info(name)
        if info is None:
            raise self.fault(f"must have its {what} in the file")
        if info.dtype not in dtypes or info.shape not in shapes:
            raise self.fault(f"has its {what} in the type {info.dtype} or the shape {info.shape}")
        return info

    def refuse_empty(self, what: str, name: str, least_dimensions: int = 1) -> None:
        """Check an input that usually comes from another operator. If it is in the file, refuse another type
        than F32, too few dimensions, and an empty tensor."""
        info = self.stored_info(name)
        if info and (info.dtype != "F32" or len(info.shape) < least_dimensions or not info.numbers):
            raise self.fault(f"has its {what} in the type {info.dtype} or the shape {info.shape}")


def _judge_lstm(operator: _Operator) -> None:
    operator.refuse_other_attributes("direction", "hidden_size", "input_forget")
    operator.number("input_forget", 0, 0, usual=0)
    hidden = operator.number("hidden_size", 1, MOST_HIDDEN)
    directions = _DIRECTIONS.get(operator.text("direction", "forward"))
    if directions is None:
        raise operator.fault("has a direction that there is not")
    names = operator.inputs_by_role(_LSTM_INPUTS, 3)
    for unused in ("lengths", "peepholes"):
        if names[unused]:
            raise operator.fault(f"has {unused}, which no voice needs")
    size = _input_size(operator, names)
    gates = _GATES * hidden
    weights = operator.require_stored("weights", names["weights"], _INTEGER_TYPES, (directions, size, gates))
    operator.require_stored("recurrence", names["recurrence"], (weights.dtype,), (directions, hidden, gates))
    for what in ("weights", "recurrence"):
        scale, zero = f"scale of {what}", f"zero of {what}"
        scales = operator.require_stored(scale, names[scale], ("F32",), (directions,), (directions, gates))
        operator.require_stored(zero, names[zero], (weights.dtype,), scales.shape)
    if names["bias"]:
        operator.require_stored("bias", names["bias"], ("F32",), (directions, 2 * gates))
    for what in ("hidden", "cells"):
        if operator.stored_info(names[what]):
            operator.require_stored(f"first {what}", names[what], ("F32",), (directions, 1, hidden))


def _input_size(operator: _Operator, names: Mapping[str, str]) -> int:
    """Return the number of values that a step of an LSTM takes. The shape of the weights says it. The shape
    of the sound must agree, if it is known."""
    weights, sound = operator.stored_info(names["weights"]), operator.stored_info(names["sound"])
    size = weights.shape[1] if weights and len(weights.shape) == 3 else 0
    if not size:
        raise operator.fault("must have its weights in the file, with three dimensions")
    if sound and (not sound.numbers or len(sound.shape) != 3 or sound.shape[1:] != (1, size)):
        raise operator.fault(f"has its sound in the shape {sound.shape}")
    return size


def _judge_gelu(operator: _Operator) -> None:
    operator.refuse_other_attributes()
    names = operator.inputs_by_role(("sound", "bias"), 1)
    operator.refuse_empty("sound", names["sound"])
    if names["bias"]:
        _require_vector(operator, "bias", names["bias"])


def _judge_norm(operator: _Operator) -> None:
    operator.refuse_other_attributes("epsilon")
    names = operator.inputs_by_role(("sound", "skipped", "scale", "shift", "bias"), 3)
    for what in ("sound", "skipped"):
        operator.refuse_empty(what, names[what])
    size = _require_vector(operator, "scale", names["scale"])
    for what in ("shift", "bias"):
        if names[what]:
            operator.require_stored(what, names[what], ("F32",), (size,))


def _require_vector(operator: _Operator, what: str, name: str) -> int:
    """Return the length of a stored vector. Raise UnusableModel if it is missing, empty or no vector."""
    info = operator.stored_info(name)
    # An empty tensor, or one of other dimensions, does not have this shape.
    size = max(1, info.numbers) if info else 1
    operator.require_stored(what, name, ("F32",), (size,))
    return size


def _judge_product(operator: _Operator) -> None:
    operator.refuse_other_attributes("alpha", *_SWITCHES, *_ZERO_SWITCHES)
    for name in _SWITCHES:
        operator.number(name, 0, 1, usual=0)
    for name in _ZERO_SWITCHES:
        operator.number(name, 0, 0, usual=0)
    for what, name in operator.inputs_by_role(("first factor", "second factor"), 2).items():
        operator.refuse_empty(what, name, least_dimensions=2)


_CHECKS: Mapping[tuple[str, str], Callable[[_Operator], None]] = {
    (MICROSOFT, "DynamicQuantizeLSTM"): _judge_lstm,
    (MICROSOFT, "FastGelu"): _judge_gelu,
    (MICROSOFT, "SkipLayerNormalization"): _judge_norm,
    (MICROSOFT, "FusedMatMul"): _judge_product,
}


MOST_MADE = 1 << 26
"""The most numbers that one operator may make, as far as stored tensors tell."""

_SHAPE_INPUT = {"ConstantOfShape": 0, "Expand": 1, "Tile": 1}
"""Operators that make at least as many numbers as one of their inputs says, and which input that is."""
_RANGE_INPUTS = 3

_ScopeChain = ChainMap[str, OnnxTensor | None]


def judge_graph(graph: GraphPart) -> None:
    """Refuse a graph, or an inner graph, with more than a voice needs. Raise UnusableModel."""
    _judge_in_scope(graph, ChainMap())


def _judge_in_scope(graph: GraphPart, outer: _ScopeChain) -> None:
    known = outer.new_child(_defined_names(graph))
    for node in graph.nodes:
        if node.domain:
            judge_foreign_operator(node, known)
        else:
            _judge_output_size(node, known)
        for value in node.attributes.values():
            if isinstance(value, GraphPart):
                _judge_in_scope(value, known)


def _defined_names(graph: GraphPart) -> dict[str, OnnxTensor | None]:
    """Return the names that a graph defines. They hide the same names of outer graphs."""
    own: dict[str, OnnxTensor | None] = dict.fromkeys(graph.inputs)
    # Old exports list the weights as inputs, too.
    own |= graph.tensors
    made: set[str] = set()
    for node in graph.nodes:
        for name in filter(None, node.outputs):
            # If a name is defined twice, runtimes disagree about which definition counts.
            if name in made or name in graph.tensors:
                raise UnusableModel(f"it makes {name[:80]!r} twice")
            made.add(name)
            own[name] = _constant_value(node)
    return own


def _constant_value(node: NodePart) -> OnnxTensor | None:
    if node.operator != "Constant" or node.domain:
        return None
    for value in node.attributes.values():
        if isinstance(value, OnnxTensor):
            return value
        if isinstance(value, int):
            return OnnxTensor(TensorInfo("I64", ()), (value,))
        if not isinstance(value, str | GraphPart | None):
            # It is a tuple of numbers. The type does not matter here: only the numbers are read.
            return OnnxTensor(TensorInfo("I64", (len(value),)), value)
    return None


def _judge_output_size(node: NodePart, known: Scope) -> None:
    """Refuse an operator if stored tensors tell it to make more numbers than any voice has."""
    if node.operator == "Range":
        made = _length_of_range(node, known)
    else:
        index = _SHAPE_INPUT.get(node.operator, -1)
        shape = known.get(node.inputs[index]) if 0 <= index < len(node.inputs) else None
        if shape and shape.info.numbers > MOST_DIMENSIONS:
            raise UnusableModel(f"its operator {node.operator} makes more than {MOST_DIMENSIONS} dimensions")
        made = math.prod(max(1, size) for size in shape.numbers) if shape else 0
    # In this form the comparison refuses NaN, too.
    if not made <= MOST_MADE:
        raise UnusableModel(f"its operator {node.operator} makes more than {MOST_MADE:,} numbers")


def _length_of_range(node: NodePart, known: Scope) -> float:
    """Return how many numbers a Range makes. An unknown bound counts as 0, and an unknown step as 1."""
    # A missing input has no name, and so no bound.
    begin, end, step = (
        found.numbers[0] if found and found.numbers else usual
        for found, usual in zip(
            (known.get(name) for name in (*node.inputs, "", "", "")[:_RANGE_INPUTS]), (0, 0, 1), strict=True
        )
    )
    # The order matters: if the first argument is NaN, `max` returns it.
    return max(abs(end - begin), 1) / abs(step) if step else math.inf
