"""What an ONNX file says of itself, and the files that would harm whoever runs them."""

import math
import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_engine.model_files import OnnxGraph, OnnxNode, OnnxValue, TensorInfo, UnusableModel
from speech_engine.model_files.onnx import MOST_MADE, MOST_NODES, read_graph
from tests import onnx_bytes as onnx
from tests.tables import each_row

INPUTS = [onnx.value("input", onnx.INT64, 1, "count")]
OUTPUTS = [onnx.value("output", onnx.FLOAT, 1, "time")]


def read(data: bytes) -> OnnxGraph:
    return read_graph(memoryview(data))


def graph(nodes: Sequence[bytes] = (), tensors: Sequence[bytes] = ()) -> bytes:
    own = [onnx.node("Gather", "weights input", "output"), *nodes]
    return onnx.graph(own, [onnx.floats("weights", [0.5, 1.5]), *tensors], INPUTS, OUTPUTS)


def with_node(*nodes: bytes, tensors: Sequence[bytes] = ()) -> bytes:
    return onnx.model(graph(nodes, tensors))


def nested(depth: int) -> bytes:
    inner = onnx.graph([onnx.node("Identity", "weights", "inside")], [], [], [])
    for _ in range(depth):
        branch = onnx.branch("then_branch", inner)
        inner = onnx.graph([onnx.node("If", "weights", "inside", branch)], [], [], [])
    return onnx.branch("then_branch", inner)


def test_it_says_what_goes_in_and_out_and_what_lies_between() -> None:
    found = read(onnx.model(graph([onnx.node("Ceil", "weights", "up")], [onnx.ints("places", [1, 2, 3])])))
    assert found.inputs == {"input": OnnxValue("I64", (1, None))}
    assert found.outputs == {"output": OnnxValue("F32", (1, None))}
    assert found.tensors == {"weights": TensorInfo("F32", (2,)), "places": TensorInfo("I64", (3,))}
    assert found.nodes == (
        OnnxNode("Gather", ("weights", "input"), ("output",)),
        OnnxNode("Ceil", ("weights",), ("up",)),
    )


def test_numbers_may_lie_in_typed_fields_packed_or_not() -> None:
    packed = onnx.number(1, 2) + onnx.number(2, onnx.FLOAT) + onnx.part(8, "a") + onnx.part(4, bytes(8))
    single = onnx.number(2, onnx.INT64) + onnx.number(7, 300) + onnx.part(8, "b")
    listed = (
        onnx.number(1, 2) + onnx.number(2, onnx.INT64) + onnx.part(7, b"\x01\xac\x02") + onnx.part(8, "c")
    )
    found = read(with_node(tensors=[packed, single, listed]))
    assert {name: found.tensors[name].numbers for name in "abc"} == {"a": 2, "b": 1, "c": 2}


def test_a_condition_may_choose_between_two_small_graphs() -> None:
    assert read(with_node(onnx.node("If", "weights", "chosen", nested(0)))).nodes[-1].operator == "If"


def test_a_name_inside_a_branch_means_what_lies_nearest() -> None:
    outside = [onnx.ints("size", [MOST_MADE + 1])]
    wide = onnx.node("Expand", "weights size", "wide")
    assert read(in_branch(wide, tensors=[onnx.ints("size", [2])], outside=outside))
    assert read(in_branch(onnx.node("Shape", "weights", "size"), wide, outside=outside))


@each_row("given", [(0.0, 100.0, 1.0), (math.nan, math.nan, 1.0), (1e9, 1e9 + 64, 1.0), (0.0, 1e12, 1e9)])
def test_a_list_of_bounded_length_is_read(given: tuple[float, float, float]) -> None:
    assert read(with_node(RANGE, tensors=listing(*given)))


def test_a_set_of_operators_that_nobody_uses_does_no_harm() -> None:
    unused = onnx.part(8, onnx.part(1, "com.example") + onnx.number(2, 1))
    assert read(onnx.model(graph(), unused)).inputs


def _tensor(shape: Sequence[int], *more: bytes, type_: int = onnx.FLOAT) -> bytes:
    dims = b"".join(onnx.number(1, size) for size in shape)
    return dims + onnx.number(2, type_) + onnx.part(8, "bomb") + b"".join(more)


def in_branch(*nodes: bytes, tensors: Sequence[bytes] = (), outside: Sequence[bytes] = ()) -> bytes:
    """A network with a branch in a branch that has these operators. `outside` are tensors around both."""
    inner = onnx.graph(list(nodes), tensors, [], [])
    around = onnx.graph([onnx.node("If", "weights", "out", onnx.branch("then_branch", inner))], [], [], [])
    choice = onnx.node("If", "weights", "chosen", onnx.branch("else_branch", around))
    return with_node(choice, tensors=outside)


def constant(name: str, value: int | float | Sequence[int]) -> bytes:
    """An operator that gives a number, as exporters write it beside tensors."""
    called = {int: "value_int", float: "value_float"}.get(type(value), "value_ints")
    return onnx.node("Constant", "", name, onnx.attribute(called, value))


def listing(begin: float, end: float, step: float) -> list[bytes]:
    """The inputs of a Range in floats. What is NaN is not known before the network runs."""
    given = {"begin": begin, "end": end, "step": step}
    return [onnx.scalar(name, value) for name, value in given.items() if not math.isnan(value)]


RANGE = onnx.node("Range", "begin end step", "long")
EVIL = {
    "nothing": (b"", "no ONNX model"),
    "words": (b"this is a letter, not a network", "no protobuf"),
    "a graph cut off": (onnx.model(graph())[:-12], "cut off"),
    "two graphs, which others would merge": (
        onnx.part(7, graph()) + onnx.model(graph()),
        "its graph twice",
    ),
    "an unknown field": (onnx.model(graph(), onnx.part(99, "new")), "field 99"),
    "groups": (onnx.model(graph(), bytes([14 << 3 | 3])), "groups"),
    "operators of tomorrow": (onnx.model(graph(), version=999), "version 999"),
    "functions": (onnx.model(graph(), onnx.part(25, b"")), "functions"),
    "training": (onnx.model(graph(), onnx.part(20, b"")), "training"),
    "an operator of somebody": (
        with_node(onnx.node("Shell", "weights", "run", domain="com.example")),
        "another library ('com.example')",
    ),
    "a loop": (with_node(onnx.node("Loop", "weights", "again")), "without a bound"),
    "a scan": (with_node(onnx.node("Scan", "weights", "again")), "without a bound"),
    "a graph where none belongs": (
        with_node(onnx.node("Add", "weights weights", "x", nested(0))),
        "of its own",
    ),
    "graphs in graphs in graphs": (with_node(onnx.node("If", "weights", "x", nested(40))), "deep"),
    "too many operators": (
        with_node(*[onnx.node("Identity", "weights", "x")] * (MOST_NODES + 1)),
        "more than 10,000 operators",
    ),
    "a huge tensor without numbers": (
        with_node(tensors=[_tensor((1 << 20, 1 << 10))]),
        "not as many numbers",
    ),
    "a tensor of absurd size": (with_node(tensors=[_tensor((1 << 40,))]), "absurd shape"),
    "a tensor of negative size": (with_node(tensors=[_tensor((-1,))]), "absurd shape"),
    "a tensor of many dimensions": (
        with_node(tensors=[_tensor((1,) * 9, onnx.part(9, bytes(4)))]),
        "absurd shape",
    ),
    "a tensor in another file": (
        with_node(
            tensors=[_tensor((2,), onnx.part(13, onnx.part(1, "location") + onnx.part(2, "/etc/passwd")))]
        ),
        "not in the file",
    ),
    "a tensor that is said to lie elsewhere": (
        with_node(tensors=[_tensor((0,), onnx.number(14, 1))]),
        "not in the file",
    ),
    "a tensor of texts": (with_node(tensors=[_tensor((1,), onnx.part(6, "x"), type_=8)]), "no numbers"),
    "a tensor of an unknown type": (
        with_node(tensors=[_tensor((1,), onnx.part(9, bytes(8)), type_=14)]),
        "a type",
    ),
    "a tensor in two places": (
        with_node(tensors=[_tensor((1,), onnx.part(9, bytes(4)), onnx.part(4, bytes(4)))]),
        "two places",
    ),
    "sparse tensors": (onnx.model(graph() + onnx.part(15, b"")), "sparse"),
    "an operator that makes a terabyte": (
        with_node(
            onnx.node("ConstantOfShape", "size", "zeros"), tensors=[onnx.ints("size", [1 << 20, 1 << 20])]
        ),
        "makes more than",
    ),
    "the same, in more dimensions than there are": (
        with_node(
            onnx.node("ConstantOfShape", "size", "zeros"),
            tensors=[onnx.ints("size", [1 << 20] * 2 + [1] * 15)],
        ),
        "makes more than 8 dimensions",
    ),
    "the same, with its size in an attribute": (
        with_node(
            onnx.node("Constant", "", "size", onnx.attribute("value", onnx.ints("", [MOST_MADE + 1]))),
            onnx.node("Expand", "weights size", "wide"),
        ),
        "makes more than",
    ),
    "a list without end": (
        with_node(
            onnx.node("Range", "zero much one", "long"),
            tensors=[onnx.int_scalar("zero", 0), onnx.int_scalar("much", 1 << 50), onnx.int_scalar("one", 1)],
        ),
        "makes more than",
    ),
    "a list without end, from below": (
        with_node(RANGE, tensors=[onnx.int_scalar("begin", -1 << 50), onnx.int_scalar("step", 1)]),
        "makes more than",
    ),
    "a list of tiny steps": (with_node(RANGE, tensors=listing(math.nan, math.nan, 1e-30)), "makes more than"),
    "a list backwards": (with_node(RANGE, tensors=listing(math.nan, -1e30, -1.0)), "makes more than"),
    "a list without steps": (with_node(RANGE, tensors=listing(0.0, 5.0, 0.0)), "makes more than"),
    "a list to no number": (with_node(RANGE, tensors=listing(math.inf, math.inf, 1.0)), "makes more than"),
    "a list of a single number's attribute": (
        with_node(constant("end", 1 << 50), RANGE, tensors=[onnx.int_scalar("begin", 0)]),
        "makes more than",
    ),
    "the same in a float": (with_node(constant("step", 1e-30), RANGE), "makes more than"),
    "the same in doubles": (
        with_node(RANGE, tensors=[onnx.tensor("end", onnx.DOUBLE, (), struct.pack("<d", 1e300))]),
        "makes more than",
    ),
    "a branch that makes a terabyte": (
        in_branch(
            onnx.node("ConstantOfShape", "size", "zeros"), tensors=[onnx.ints("size", [1 << 20, 1 << 20])]
        ),
        "makes more than",
    ),
    "a branch whose size lies around it": (
        in_branch(onnx.node("Expand", "weights size", "wide"), outside=[onnx.ints("size", [MOST_MADE + 1])]),
        "makes more than",
    ),
    "a branch with a list without end": (
        in_branch(RANGE, outside=[onnx.int_scalar("begin", 1 << 50)]),
        "makes more than",
    ),
    "a tensor twice": (with_node(tensors=[onnx.ints("a", [1]), onnx.ints("a", [1 << 40])]), "two tensors"),
    "a tensor that an operator makes, too": (
        with_node(onnx.node("Identity", "weights", "a"), tensors=[onnx.ints("a", [1])]),
        "makes 'a' twice",
    ),
    "an attribute twice": (
        with_node(
            onnx.node("Gather", "weights input", "x", onnx.attribute("axis", 0), onnx.attribute("axis", 1))
        ),
        "two attributes called 'axis'",
    ),
    "an attribute of two kinds": (
        with_node(onnx.node("Gather", "weights input", "x", onnx.attribute("axis", 0) + onnx.part(4, "0"))),
        "two kinds",
    ),
    "a long name": (with_node(onnx.node("A" * 1000, "weights", "x")), "a name of 1,000 bytes"),
    "a name that is no text": (with_node(onnx.part(4, b"\xff\xfe")), "no UTF-8"),
    "an endless number": (onnx.number(1, 8)[:1] + b"\xff" * 11, "cut off"),
}


@each_row("name", EVIL)
def test_an_evil_file_is_refused(name: str) -> None:
    data, reason = EVIL[name]
    with pytest.raises(UnusableModel, match=reason.replace("(", r"\(").replace(")", r"\)")):
        read(data)


def loop(depth: int = 1) -> bytes:
    """A Loop that gathers tensors in a list, as exports of torch have it, perhaps around others."""
    listed = onnx.part(1, "list") + onnx.part(2, onnx.part(4, onnx.part(1, onnx.part(1, onnx.number(1, 1)))))
    inner = [onnx.node("SequenceInsert", "list weights", "longer")]
    for _ in range(depth):
        body = onnx.graph(inner, [], [listed], [])
        attribute = onnx.part(1, "body") + onnx.part(6, body) + onnx.number(20, 5)
        inner = [onnx.node("Loop", "turns go list", "gathered", attribute)]
    return inner[0]


def test_a_loop_is_read_only_where_whoever_runs_it_can_stop_it() -> None:
    data = memoryview(with_node(loop()))
    assert [node.operator for node in read_graph(data, may_repeat=True).nodes] == ["Gather", "Loop"]
    with pytest.raises(UnusableModel, match="the operator Loop"):
        read_graph(data)


def test_a_loops_own_names_hide_those_around_it() -> None:
    wide = onnx.node("Expand", "weights size", "wide")
    for inputs, is_hidden in (([], False), ([onnx.value("size", onnx.INT64, 1)], True)):
        body = onnx.branch("body", onnx.graph([wide], [], inputs, []))
        data = with_node(onnx.node("Loop", "weights", "x", body), tensors=[onnx.ints("size", [1 << 40])])
        if is_hidden:
            assert read_graph(memoryview(data), may_repeat=True)
        else:
            with pytest.raises(UnusableModel, match="makes more than"):
                read_graph(memoryview(data), may_repeat=True)


def test_loops_are_bounded_as_all_else_is() -> None:
    shell = onnx.node("Shell", "weights", "x", domain="evil")
    body = onnx.part(1, "body") + onnx.part(6, onnx.graph([shell], [], [], [])) + onnx.number(20, 5)
    for evil, reason in (
        (loop(4), "more than 3 deep"),
        (onnx.node("Loop", "weights", "x", body), "of another library"),
        (onnx.node("Scan", "weights", "x", body), "the operator Scan"),
    ):
        with pytest.raises(UnusableModel, match=reason):
            read_graph(memoryview(with_node(evil)), may_repeat=True)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        read(data)
    except UnusableModel:
        return


@given(st.integers(min_value=0), st.integers(min_value=0, max_value=255))
def test_a_file_with_one_changed_byte_is_read_or_refused(place: int, byte: int) -> None:
    data = bytearray(with_node(onnx.node("If", "weights", "x", nested(1)), tensors=[onnx.ints("n", [1, 2])]))
    data[place % len(data)] = byte
    try:
        read(bytes(data))
    except UnusableModel:
        return
