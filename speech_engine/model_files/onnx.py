"""The graph of an ONNX file: what goes in and out, its operators, its tensors. No number is computed.

A runtime believes the file. So everything here that could lead it astray is refused: operators of other
libraries, files elsewhere, tensors that declare more than they have, and graphs that repeat themselves.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from speech_engine.model_files.declarations import (
    WIDTHS,
    OnnxGraph,
    OnnxNode,
    OnnxValue,
    TensorInfo,
    UnusableModel,
)
from speech_engine.model_files.onnx_fields import (
    ATTRIBUTE,
    DIMENSION,
    DTYPES,
    GRAPH,
    MODEL,
    NODE,
    OPERATORS,
    SHAPE,
    TENSOR,
    TENSOR_TYPE,
    TYPE,
    TYPED,
    VALUE_INFO,
)
from speech_engine.model_files.protobuf import (
    MessageReader,
    Value,
    bytes_of,
    number_of,
    numbers_of,
    text_of,
)

MOST_NODES = 10_000
MOST_TENSORS = 20_000
MOST_MADE = 1 << 26
"""The most numbers that one operator may be told to make."""

_MOST_DEPTH = 3
_MOST_DIMENSIONS = 8
_MOST_SMALL = 16
_MOST_TYPED_BYTES = 1 << 20
_OPERATOR_VERSIONS = range(7, 31)
_STANDARD = ("", "ai.onnx")
_REPEATING = ("Loop", "Scan", "SequenceMap")
_WITH_GRAPHS = ("If",)
_MAY_REPEAT = ("Loop",)
"""What a network may have that is stopped from outside: onnxruntime looks at its switch at each turn."""
_SHAPE_INPUT = {"ConstantOfShape": 0, "Expand": 1, "Tile": 1}
"""Operators that make as many numbers as one of their inputs says, and which input that is."""


def read_graph(data: memoryview, *, may_repeat: bool = False) -> OnnxGraph:
    """Return the graph of a whole file. Raise UnusableModel with what is wrong."""
    return _GraphReader(data, _MAY_REPEAT if may_repeat else ()).model()


class _GraphReader:
    def __init__(self, data: memoryview, repeating: tuple[str, ...]) -> None:
        self._data = data
        self._repeating = repeating
        self._messages = MessageReader()
        self._nodes = self._tensors = 0

    def model(self) -> OnnxGraph:
        graph: memoryview | None = None
        has_operators = False
        for name, value in self._messages.fields(self._data, MODEL, "the model"):
            if name == "graph":
                graph = bytes_of(value)
            elif name == "operators":
                has_operators |= self._operators(bytes_of(value))
            elif name in ("training", "functions", "configuration"):
                raise UnusableModel(f"it has {name}; a model that only speaks has none")
        if graph is None or not has_operators:
            raise UnusableModel("it is no ONNX model, or is cut off")
        return self._graph(graph, 1)

    def _operators(self, message: memoryview) -> bool:
        """Check a set of operators. Tell whether it is ONNX's own; some files name others in vain."""
        domain, version = "", 0
        for name, value in self._messages.fields(message, OPERATORS, "a set of operators"):
            if name == "domain":
                domain = text_of(value)
            else:
                version = number_of(value)
        if domain in _STANDARD and version not in _OPERATOR_VERSIONS:
            raise UnusableModel(f"it needs version {version} of the operators, which voxgate does not know")
        return domain in _STANDARD

    def _graph(self, message: memoryview, depth: int) -> OnnxGraph:
        if depth > _MOST_DEPTH:
            raise UnusableModel(f"its graphs lie in one another more than {_MOST_DEPTH} deep")
        inputs: dict[str, OnnxValue] = {}
        outputs: dict[str, OnnxValue] = {}
        tensors: dict[str, TensorInfo] = {}
        small: dict[str, tuple[int, ...]] = {}
        nodes: list[OnnxNode] = []
        for name, value in self._messages.fields(message, GRAPH, "a graph"):
            if name == "node":
                nodes.append(self._node(bytes_of(value), small, depth))
            elif name == "initializer":
                called, info, numbers = self._tensor(bytes_of(value))
                tensors[called] = info
                small |= {called: numbers} if numbers else {}
            elif name in ("input", "output"):
                called, kind = self._value_info(bytes_of(value))
                (inputs if name == "input" else outputs)[called] = kind
            elif name == "sparse":
                raise UnusableModel("it has sparse tensors")
        _judge_made(nodes, small)
        # Old exports list the weights as inputs, too.
        return OnnxGraph(
            {name: kind for name, kind in inputs.items() if name not in tensors},
            outputs,
            tensors,
            tuple(nodes),
        )

    def _node(self, message: memoryview, small: dict[str, tuple[int, ...]], depth: int) -> OnnxNode:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise UnusableModel(f"it has more than {MOST_NODES:,} operators")
        texts: dict[str, list[str]] = {}
        attributes: list[memoryview] = []
        for name, value in self._messages.fields(message, NODE, "an operator"):
            if name == "attribute":
                attributes.append(bytes_of(value))
            elif name in ("input", "output", "operator", "domain", "overload"):
                texts.setdefault(name, []).append(text_of(value))
        operator = "".join(texts.get("operator", ()))
        _refuse_domain("".join(texts.get("domain", ())))
        if operator in set(_REPEATING) - set(self._repeating) or texts.get("overload"):
            raise UnusableModel(f"it has the operator {operator[:40]}, which repeats a graph without a bound")
        node = OnnxNode(operator, tuple(texts.get("input", ())), tuple(texts.get("output", ())))
        for numbers in [self._attribute(each, operator, depth) for each in attributes]:
            if operator == "Constant" and numbers and node.outputs:
                small[node.outputs[0]] = numbers
        return node

    def _attribute(self, message: memoryview, operator: str, depth: int) -> tuple[int, ...]:
        """Check an attribute. Return its few whole numbers, if it has some."""
        found: tuple[int, ...] = ()
        for name, value in self._messages.fields(message, ATTRIBUTE, f"an attribute of {operator[:40]}"):
            if name == "tensor":
                found = self._tensor(bytes_of(value))[2]
            elif name == "ints":
                found += numbers_of(value, MOST_TENSORS)
            elif name == "graph":
                if operator not in (*_WITH_GRAPHS, *self._repeating):
                    raise UnusableModel(f"its operator {operator[:40]} has a graph of its own")
                self._graph(bytes_of(value), depth + 1)
            elif name == "other":
                raise UnusableModel(f"its operator {operator[:40]} has an attribute of a rare kind")
        return found if len(found) <= _MOST_SMALL else ()

    def _tensor(self, message: memoryview) -> tuple[str, TensorInfo, tuple[int, ...]]:
        """Return the name of a tensor, what it is, and its numbers if it has a few whole ones."""
        self._tensors += 1
        if self._tensors > MOST_TENSORS:
            raise UnusableModel(f"it has more than {MOST_TENSORS:,} tensors")
        called = dtype = ""
        shape: tuple[int, ...] = ()
        stored: dict[str, list[Value]] = {}
        for name, value in self._messages.fields(message, TENSOR, "a tensor"):
            if name == "name":
                called = text_of(value)
            elif name == "dims":
                shape += numbers_of(value, _MOST_DIMENSIONS)
            elif name == "type":
                dtype = DTYPES.get(number_of(value), "")
            elif name in ("segment", "external", "strings") or (name == "location" and number_of(value)):
                raise UnusableModel(f"its tensor {called[:80]!r} is not in the file, or no numbers")
            elif name in TYPED or name == "raw":
                stored.setdefault(name, []).append(value)
        info = TensorInfo(dtype, shape)
        _judge_tensor(repr(called[:80]), info, stored)
        return called, info, _small_numbers(stored, info)

    def _value_info(self, message: memoryview) -> tuple[str, OnnxValue]:
        called, kind = "", OnnxValue("", None)
        for name, value in self._messages.fields(message, VALUE_INFO, "an input or output"):
            if name == "name":
                called = text_of(value)
            elif name == "type":
                kind = self._type(bytes_of(value))
        return called, kind

    def _type(self, message: memoryview) -> OnnxValue:
        dtype, shape = "", None
        for kind, tensor in self._messages.fields(message, TYPE, "a type"):
            if kind == "sequence" and not self._repeating:
                raise UnusableModel("it has an input or output that is a list of tensors")
            if kind != "tensor":
                continue
            for name, value in self._messages.fields(bytes_of(tensor), TENSOR_TYPE, "a type"):
                if name == "type":
                    dtype = DTYPES.get(number_of(value), "")
                else:
                    shape = tuple(self._dimensions(bytes_of(value)))
        return OnnxValue(dtype, shape)

    def _dimensions(self, message: memoryview) -> Iterator[int | None]:
        for number, (_, dimension) in enumerate(self._messages.fields(message, SHAPE, "a shape")):
            if number == _MOST_DIMENSIONS:
                raise UnusableModel("it has an input or output with an absurd shape")
            size = None
            for name, value in self._messages.fields(bytes_of(dimension), DIMENSION, "a shape"):
                size = number_of(value) if name == "value" else size
            yield size


def _judge_tensor(shown: str, info: TensorInfo, stored: Mapping[str, list[Value]]) -> None:
    if info.dtype not in WIDTHS:
        raise UnusableModel(f"its tensor {shown} has a type that voxgate does not know")
    if len(info.shape) > _MOST_DIMENSIONS or not all(0 <= size < 1 << 31 for size in info.shape):
        raise UnusableModel(f"its tensor {shown} has an absurd shape")
    if _stored_numbers(stored, info.dtype) != info.numbers:
        raise UnusableModel(f"its tensor {shown} has not as many numbers as its shape says")


def _stored_numbers(stored: Mapping[str, list[Value]], dtype: str) -> int:
    """Count the numbers that a tensor really has. Raise UnusableModel if they lie in two places."""
    if not stored:
        return 0
    if len(stored) > 1:
        raise UnusableModel("it has a tensor with its numbers in two places")
    ((name, values),) = stored.items()
    if name == "raw":
        count, rest = divmod(len(bytes_of(values[0])), WIDTHS[dtype])
        return -1 if rest else count
    if dtype not in TYPED[name]:
        raise UnusableModel("it has a tensor with numbers of another type")
    width = {"floats": 4, "doubles": 8}.get(name)
    count = 0
    for value in values:
        if isinstance(value, int):
            count += 1
        elif width:
            count += len(value) // width
        elif len(value) > _MOST_TYPED_BYTES:
            raise UnusableModel("it has a large tensor in a form that takes long to read")
        else:
            count += sum(byte < 0x80 for byte in value)
    return count


def _small_numbers(stored: Mapping[str, list[Value]], info: TensorInfo) -> tuple[int, ...]:
    if info.dtype != "I64" or not 0 < info.numbers <= _MOST_SMALL:
        return ()
    ((name, values),) = stored.items()
    if name == "raw":
        data = bytes_of(values[0])
        return tuple(
            int.from_bytes(data[at : at + 8], "little", signed=True) for at in range(0, len(data) & ~7, 8)
        )
    return tuple(number for value in values for number in numbers_of(value, _MOST_SMALL))


def _judge_made(nodes: list[OnnxNode], small: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse an operator that is told, by a constant, to make more numbers than any voice has."""
    for node in nodes:
        place = _SHAPE_INPUT.get(node.operator, -1)
        asked = small.get(node.inputs[place], ()) if 0 <= place < len(node.inputs) else ()
        if node.operator == "Range":
            asked = small.get(node.inputs[1], ()) if len(node.inputs) > 1 else ()
        if math.prod(max(1, size) for size in asked) > MOST_MADE:
            raise UnusableModel(f"its operator {node.operator} makes more than {MOST_MADE:,} numbers")


def _refuse_domain(domain: str) -> None:
    if domain not in _STANDARD:
        raise UnusableModel(
            f"it needs operators of another library ({domain[:80]!r}); only ONNX's own are run"
        )
