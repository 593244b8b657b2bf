"""The graph of an ONNX file: its inputs, outputs, operators and tensors. No number is computed.

A runtime believes the file. So everything here that could lead it astray is refused: operators of other
libraries, other files, tensors that declare more than they have, and graphs that repeat themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from speech_engine.model_declarations import OnnxGraph, OnnxNode, OnnxValue, TensorInfo, UnusableModel
from speech_engine.model_files import onnx_parts, protobuf
from speech_engine.model_files.onnx_rules import MOST_MADE, judge_graph

__all__ = ["GRAPH", "MODEL", "MOST_MADE", "MOST_NODES", "MOST_TENSORS", "read_graph", "read_parts"]

# The fields of its messages by number, as its public definition has them. `other` are rare things, which are
# refused where they stand. Texts for people are skipped.
MODEL = protobuf.message_fields(
    single={1: "version of the format", 2: "producer", 3: "producer's version", 4: "domain", 5: "version"}
    | {6: "description", 7: "graph"},
    repeated={8: "operators", 14: "metadata", 20: "training", 25: "functions", 26: "configuration"},
)
_OPERATORS = protobuf.message_fields({1: "domain", 2: "version"})
GRAPH = protobuf.message_fields(
    single={2: "name", 10: "description"},
    repeated={1: "node", 5: "initializer", 11: "input", 12: "output", 13: "value", 14: "quantization"}
    | {15: "sparse", 16: "metadata"},
)
_NODE = protobuf.message_fields(
    single={3: "name", 4: "operator", 6: "description", 7: "domain", 8: "overload"},
    repeated={1: "input", 2: "output", 5: "attribute", 9: "metadata"},
)
_ATTRIBUTE = protobuf.message_fields(
    single={1: "name", 2: "float", 3: "int", 4: "text", 5: "tensor", 6: "graph", 13: "description"}
    | {14: "other", 20: "type", 21: "other", 22: "other"},
    repeated={7: "floats", 8: "ints", 9: "texts", 10: "other", 11: "other", 15: "other", 23: "other"},
)
_ATTRIBUTE_VALUES = frozenset(("float", "int", "text", "tensor", "graph", "floats", "ints", "texts"))
"""An attribute has one of these. Its type says which, and readers differ about what they believe."""
_TENSOR = protobuf.message_fields(
    single={2: "type", 3: "segment", 8: "name", 9: "raw", 12: "description", 14: "location"},
    repeated={1: "dims", 4: "floats", 5: "int32s", 6: "strings", 7: "int64s", 10: "doubles", 11: "uint64s"}
    | {13: "external", 16: "metadata"},
)
_VALUE_INFO = protobuf.message_fields({1: "name", 2: "type", 3: "description"}, {4: "metadata"})
_TYPE = protobuf.message_fields({1: "tensor", 4: "sequence", 6: "denotation"})
_TENSOR_TYPE = protobuf.message_fields({1: "type", 2: "shape"})
_SHAPE = protobuf.message_fields({}, {1: "dimension"})
_DIMENSION = protobuf.message_fields({1: "value", 2: "parameter", 3: "denotation"})

_DTYPES = {
    1: "F32",
    2: "U8",
    3: "I8",
    4: "U16",
    5: "I16",
    6: "I32",
    7: "I64",
    9: "BOOL",
    10: "F16",
    11: "F64",
} | {12: "U32", 13: "U64", 16: "BF16"}
"""The types of tensors by number. Texts and complex numbers are left out: no voice has any."""

MOST_NODES = 10_000
MOST_TENSORS = 20_000

_MOST_DEPTH = 3
_MOST_TEXT = 64
_MOST_LISTED_NUMBERS = 20_000
_OPERATOR_VERSIONS = range(7, 31)
_FOREIGN_VERSION = 1
"""The only version of the operators beside ONNX's own that a format may allow."""
_OWN_DOMAINS = ("", "ai.onnx")
_REPEATING_OPERATORS = ("Loop", "Scan", "SequenceMap")
_BRANCHING_OPERATORS = ("If",)
_STOPPABLE_LOOPS = ("Loop",)
"""The loops of a network that can be stopped from outside: onnxruntime reads the switch at each turn."""


def read_graph(
    data: memoryview, *, may_repeat: bool = False, operators: Sequence[tuple[str, str]] = ()
) -> OnnxGraph:
    """Return the graph of a whole file. Raise UnusableModel with the fault.

    `operators` are those beside ONNX's own that it may have, as (domain, operator).
    """
    graph = read_parts(data, may_repeat=may_repeat, operators=operators)
    return OnnxGraph(
        # Old exports list the weights as inputs, too.
        {name: kind for name, kind in graph.inputs.items() if name not in graph.tensors},
        graph.outputs,
        {name: stored.info for name, stored in graph.tensors.items()},
        tuple(OnnxNode(node.operator, node.inputs, node.outputs, node.attributes) for node in graph.nodes),
    )


def read_parts(
    data: memoryview, *, may_repeat: bool = False, operators: Sequence[tuple[str, str]] = ()
) -> onnx_parts.GraphPart:
    """Return the parts of a whole file, judged as in `read_graph`."""
    graph = _GraphReader(data, _STOPPABLE_LOOPS if may_repeat else (), operators).read_model()
    judge_graph(graph)
    return graph


class _GraphReader:
    def __init__(
        self, data: memoryview, repeating: tuple[str, ...], operators: Sequence[tuple[str, str]]
    ) -> None:
        self._data = data
        self._repeating = repeating
        self._allowed = frozenset(operators)
        self._messages = protobuf.MessageReader()
        self._node_count = self._tensor_count = 0

    def read_model(self) -> onnx_parts.GraphPart:
        graph: memoryview | None = None
        has_operators = False
        for name, value in self._messages.fields(self._data, MODEL, "the model"):
            if name == "graph":
                graph = protobuf.bytes_of(value)
            elif name == "operators":
                has_operators |= self._check_operator_set(protobuf.bytes_of(value))
            elif name in ("training", "functions", "configuration"):
                raise UnusableModel(f"it has {name}; a model that only speaks has none")
        if graph is None or not has_operators:
            raise UnusableModel("it is no ONNX model, or is cut off")
        return self._read_graph(graph, 1)

    def _check_operator_set(self, message: memoryview) -> bool:
        """Check a set of operators. Tell whether it is ONNX's own; some files name others in vain."""
        domain, version = "", 0
        for name, value in self._messages.fields(message, _OPERATORS, "a set of operators"):
            if name == "domain":
                domain = protobuf.text_of(value)
            else:
                version = protobuf.number_of(value)
        if domain in _OWN_DOMAINS and version not in _OPERATOR_VERSIONS:
            raise UnusableModel(f"it needs version {version} of the operators, which voxgate does not know")
        if domain in {each for each, _ in self._allowed} and version != _FOREIGN_VERSION:
            raise UnusableModel(f"it needs version {version} of {domain}, which voxgate does not know")
        return domain in _OWN_DOMAINS

    def _read_graph(self, message: memoryview, depth: int) -> onnx_parts.GraphPart:
        if depth > _MOST_DEPTH:
            raise UnusableModel(f"its graphs lie in one another more than {_MOST_DEPTH} deep")
        inputs: dict[str, OnnxValue] = {}
        outputs: dict[str, OnnxValue] = {}
        tensors: dict[str, onnx_parts.OnnxTensor] = {}
        nodes: list[onnx_parts.NodePart] = []
        for name, value in self._messages.fields(message, GRAPH, "a graph"):
            if name == "node":
                nodes.append(self._read_node(protobuf.bytes_of(value), depth))
            elif name == "initializer":
                own_name, stored = self._read_tensor(protobuf.bytes_of(value))
                if own_name in tensors:
                    raise UnusableModel(f"it has two tensors called {own_name[:80]!r}")
                tensors[own_name] = stored
            elif name in ("input", "output"):
                own_name, kind = self._read_value_info(protobuf.bytes_of(value))
                (inputs if name == "input" else outputs)[own_name] = kind
            elif name == "sparse":
                raise UnusableModel("it has sparse tensors")
        return onnx_parts.GraphPart(inputs, outputs, tensors, tuple(nodes))

    def _read_node(self, message: memoryview, depth: int) -> onnx_parts.NodePart:
        self._node_count += 1
        if self._node_count > MOST_NODES:
            raise UnusableModel(f"it has more than {MOST_NODES:,} operators")
        texts: dict[str, list[str]] = {}
        messages: list[memoryview] = []
        for name, value in self._messages.fields(message, _NODE, "an operator"):
            if name == "attribute":
                messages.append(protobuf.bytes_of(value))
            elif name in ("input", "output", "operator", "domain", "overload"):
                texts.setdefault(name, []).append(protobuf.text_of(value))
        operator, domain = ("".join(texts.get(name, ())) for name in ("operator", "domain"))
        if domain not in _OWN_DOMAINS and (domain, operator) not in self._allowed:
            raise UnusableModel(
                f"it needs operators of another library ({domain[:80]!r}); only ONNX's own are run"
            )
        if operator in set(_REPEATING_OPERATORS) - set(self._repeating) or texts.get("overload"):
            raise UnusableModel(f"it has the operator {operator[:40]}, which repeats a graph without a bound")
        attributes: dict[str, onnx_parts.AttributeValue] = {}
        for name, found in (self._read_attribute(each, operator, depth) for each in messages):
            if name in attributes:
                raise UnusableModel(f"its operator {operator[:40]} has two attributes called {name[:40]!r}")
            attributes[name] = found
        outputs, inputs = tuple(texts.get("output", ())), tuple(texts.get("input", ()))
        return onnx_parts.NodePart(
            domain if domain not in _OWN_DOMAINS else "", operator, inputs, outputs, attributes
        )

    def _read_attribute(
        self, message: memoryview, operator: str, depth: int
    ) -> tuple[str, onnx_parts.AttributeValue]:
        own_name, kinds = "", set[str]()
        found: onnx_parts.AttributeValue = None
        numbers: list[float] = []
        for name, value in self._messages.fields(message, _ATTRIBUTE, f"an attribute of {operator[:40]}"):
            if name == "name":
                own_name = protobuf.text_of(value)
            elif name == "other":
                raise UnusableModel(f"its operator {operator[:40]} has an attribute of a rare kind")
            elif name in _ATTRIBUTE_VALUES:
                kinds.add(name)
            if name == "ints":
                numbers += protobuf.numbers_of(value, _MOST_LISTED_NUMBERS)
            elif name in ("float", "floats"):
                numbers += onnx_parts.fixed_numbers(
                    "F32", protobuf.bytes_of(value)[: 4 * _MOST_LISTED_NUMBERS]
                )
            elif name in _ATTRIBUTE_VALUES:
                found = self._read_value(name, value, operator, depth)
        if len(kinds) > 1 or len(numbers) > _MOST_LISTED_NUMBERS:
            raise UnusableModel(f"its operator {operator[:40]} has an attribute of two kinds, or a long list")
        return own_name, tuple(numbers) if found is None else found

    def _read_value(
        self, kind: str, value: protobuf.Value, operator: str, depth: int
    ) -> onnx_parts.AttributeValue:
        if kind == "tensor":
            return self._read_tensor(protobuf.bytes_of(value))[1]
        if kind == "graph":
            if operator not in (*_BRANCHING_OPERATORS, *self._repeating):
                raise UnusableModel(f"its operator {operator[:40]} has a graph of its own")
            return self._read_graph(protobuf.bytes_of(value), depth + 1)
        if kind == "int":
            return protobuf.number_of(value)
        return str(protobuf.bytes_of(value)[:_MOST_TEXT], "utf-8", "replace") if kind == "text" else None

    def _read_tensor(self, message: memoryview) -> tuple[str, onnx_parts.OnnxTensor]:
        """Return the name of a tensor, its type and shape, and its numbers if it has a few."""
        self._tensor_count += 1
        if self._tensor_count > MOST_TENSORS:
            raise UnusableModel(f"it has more than {MOST_TENSORS:,} tensors")
        own_name = dtype = ""
        shape: tuple[int, ...] = ()
        stored: dict[str, list[protobuf.Value]] = {}
        for name, value in self._messages.fields(message, _TENSOR, "a tensor"):
            if name == "name":
                own_name = protobuf.text_of(value)
            elif name == "dims":
                shape += protobuf.numbers_of(value, onnx_parts.MOST_DIMENSIONS)
            elif name == "type":
                dtype = _DTYPES.get(protobuf.number_of(value), "")
            elif name in ("segment", "external", "strings") or (
                name == "location" and protobuf.number_of(value)
            ):
                raise UnusableModel(f"its tensor {own_name[:80]!r} is not in the file, or no numbers")
            elif name in onnx_parts.TYPES_OF_FIELD or name == "raw":
                stored.setdefault(name, []).append(value)
        info = TensorInfo(dtype, shape)
        onnx_parts.judge_tensor(repr(own_name[:80]), info, stored)
        return own_name, onnx_parts.OnnxTensor(info, onnx_parts.few_numbers(stored, info))

    def _read_value_info(self, message: memoryview) -> tuple[str, OnnxValue]:
        own_name, kind = "", OnnxValue("", None)
        for name, value in self._messages.fields(message, _VALUE_INFO, "an input or output"):
            if name == "name":
                own_name = protobuf.text_of(value)
            elif name == "type":
                kind = self._read_type(protobuf.bytes_of(value))
        return own_name, kind

    def _read_type(self, message: memoryview) -> OnnxValue:
        dtype, shape = "", None
        for kind, tensor in self._messages.fields(message, _TYPE, "a type"):
            if kind == "sequence" and not self._repeating:
                raise UnusableModel("it has an input or output that is a list of tensors")
            if kind != "tensor":
                continue
            for name, value in self._messages.fields(protobuf.bytes_of(tensor), _TENSOR_TYPE, "a type"):
                if name == "type":
                    dtype = _DTYPES.get(protobuf.number_of(value), "")
                else:
                    shape = tuple(self._read_dimensions(protobuf.bytes_of(value)))
        return OnnxValue(dtype, shape)

    def _read_dimensions(self, message: memoryview) -> Iterator[int | None]:
        for number, (_, dimension) in enumerate(self._messages.fields(message, _SHAPE, "a shape")):
            if number == onnx_parts.MOST_DIMENSIONS:
                raise UnusableModel("it has an input or output with an absurd shape")
            size = None
            for name, value in self._messages.fields(protobuf.bytes_of(dimension), _DIMENSION, "a shape"):
                size = protobuf.number_of(value) if name == "value" else size
            yield size
