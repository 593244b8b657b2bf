"""Networks of Kokoro's layout whose operators beside ONNX's own are given what they must not be.

Each says why the reader refuses it. Of the few that it cannot know, the runtime has the last word.
"""

from collections.abc import Mapping, Sequence

from tests import onnx_bytes as onnx
from tests.onnx_bytes import BOOL, DOUBLE, FLOAT, INT8, INT32, INT64, UINT8

MICROSOFT = "com.microsoft"
SIZE, HIDDEN, GATES, WAYS = 4, 2, 8, 1

Given = tuple[int, tuple[int, ...]] | str
"""A stored tensor's type and shape, "" for one that is left out, or what another operator makes of one."""

_LSTM: Mapping[str, Given] = {
    "sound": "steps",
    "w": (INT8, (WAYS, SIZE, GATES)),
    "r": (INT8, (WAYS, HIDDEN, GATES)),
    "bias": (FLOAT, (WAYS, 2 * GATES)),
    "lengths": "",
    "hidden": (FLOAT, (WAYS, 1, HIDDEN)),
    "cells": (FLOAT, (WAYS, 1, HIDDEN)),
    "peepholes": "",
    "w_scale": (FLOAT, (WAYS,)),
    "w_zero": (INT8, (WAYS,)),
    "r_scale": (FLOAT, (WAYS,)),
    "r_zero": (INT8, (WAYS,)),
}
_NORM: Mapping[str, Given] = {
    "sound": "steps",
    "skipped": "steps",
    "scale": (FLOAT, (SIZE,)),
    "shift": (FLOAT, (SIZE,)),
    "extra": (FLOAT, (SIZE,)),
}
_GELU: Mapping[str, Given] = {"sound": "steps", "slope": (FLOAT, (SIZE,))}
_PRODUCT: Mapping[str, Given] = {"left": "steps", "right": (FLOAT, (SIZE, 3))}

MADE = "made of "
"""How what an operator makes of a stored tensor begins; its type and shape follow."""


def made(type_: int, *shape: int) -> str:
    return f"{MADE}{type_} {' '.join(map(str, shape))}"


def lstm(attributes: Sequence[bytes] | None = None, **changed: Given) -> bytes:
    """A network with one DynamicQuantizeLSTM: a right one, if nothing is changed."""
    usual = (onnx.attribute("hidden_size", HIDDEN), onnx.attribute("direction", "forward"))
    return network("DynamicQuantizeLSTM", {**_LSTM, **changed}, usual if attributes is None else attributes)


def norm(*attributes: bytes, **changed: Given) -> bytes:
    return network("SkipLayerNormalization", {**_NORM, **changed}, attributes)


def gelu(*attributes: bytes, **changed: Given) -> bytes:
    return network("FastGelu", {**_GELU, **changed}, attributes)


def product(*attributes: bytes, **changed: Given) -> bytes:
    return network("FusedMatMul", {**_PRODUCT, **changed}, attributes)


def network(
    operator: str,
    given: Mapping[str, Given],
    attributes: Sequence[bytes] = (),
    *,
    domain: str = MICROSOFT,
    version: int = 1,
) -> bytes:
    """A network whose operator is given these tensors."""
    named = [name if value else "" for name, value in given.items()]
    nodes = [onnx.node(operator, named, "said", *attributes, domain=domain)]
    return whole(given, nodes, version)


def whole(given: Mapping[str, Given], nodes: Sequence[bytes], version: int = 1) -> bytes:
    """A network that makes "said" from these tensors, and sound of that.

    `steps` are [N, 1, 4] for N tokens. At a speed below 1, `batches` are [N, 0, 4], and [N, 1, 4] from 1 on;
    `few_steps` are [0, 1, 4] and [1, 1, 4].
    """
    before = [
        onnx.node("Gather", "table tokens", "rows"),  # [1, N, 4]
        onnx.node("Transpose", "rows", "steps", onnx.attribute("perm", [1, 0, 2])),
        onnx.node("Floor", "speed", "whole_speed"),
        onnx.node("Cast", "whole_speed", "batch", onnx.attribute("to", INT64)),
        onnx.node("Slice", "steps none batch second", "batches"),
        onnx.node("Slice", "steps none batch first", "few_steps"),
        onnx.node("Slice", "steps none none first", "no_steps"),
        onnx.node("Squeeze", "steps second", "flat"),
    ]
    tensors = [
        onnx.zeros("table", FLOAT, 64, SIZE),
        onnx.ints("none", [0]),
        onnx.ints("first", [0]),
        onnx.ints("second", [1]),
        onnx.ints("flat_shape", [-1]),
    ]
    for name, value in given.items():
        if isinstance(value, tuple):
            tensors.append(onnx.zeros(name, value[0], *value[1]))
        elif value.startswith(MADE):
            type_, *shape = map(int, value.removeprefix(MADE).split())
            tensors.append(onnx.zeros(f"{name}_before", type_, *shape))
            before.append(onnx.node("Identity", f"{name}_before", name))
        elif value:
            before.append(onnx.node("Identity", value, name))
    inputs = [
        onnx.value("tokens", INT64, 1, "length"),
        onnx.value("style", FLOAT, 1, 256),
        onnx.value("speed", FLOAT, 1),
    ]
    after = [onnx.node("Reshape", "said flat_shape", "audio")]
    graph = onnx.graph([*before, *nodes, *after], tensors, inputs, [onnx.value("audio", FLOAT, "time")])
    return onnx.model(graph, onnx.operators(MICROSOFT, version))


def _hidden(size: int | float) -> bytes:
    return lstm([onnx.attribute("hidden_size", size)])


def _way(direction: str, **changed: Given) -> bytes:
    return lstm([onnx.attribute("hidden_size", HIDDEN), onnx.attribute("direction", direction)], **changed)


_SIZED = onnx.attribute("hidden_size", HIDDEN)


def _in_a_branch(*nodes: bytes, **changed: Given) -> bytes:
    """A network whose LSTM lies in a branch, after other operators."""
    given = {**_LSTM, **changed}
    named = [name if value else "" for name, value in given.items()]
    own = [*nodes, onnx.node("DynamicQuantizeLSTM", named, "inner", _SIZED, domain=MICROSOFT)]
    result = [onnx.value("inner", FLOAT, "n", 1, 1, HIDDEN)]
    branches = [onnx.branch(name, onnx.graph(own, [], [], result)) for name in ("then_branch", "else_branch")]
    return whole({**given, "go": (BOOL, ())}, [onnx.node("If", "go", "said", *branches)])


_GIVEN = "in the type"
_IN_FILE = "in the file"
_HIDDEN_SIZE = "must have a hidden_size"
REFUSED: Mapping[str, tuple[bytes, str]] = {
    "weights with fewer gates": (lstm(w=(INT8, (1, 4, 7))), _GIVEN),
    "weights with more gates": (lstm(w=(INT8, (1, 4, 9))), _GIVEN),
    "weights of two ways": (lstm(w=(INT8, (2, 4, 8))), _GIVEN),
    "weights with two dimensions": (lstm(w=(INT8, (4, 8))), "three dimensions"),
    "weights with four dimensions": (lstm(w=(INT8, (1, 1, 4, 8))), "three dimensions"),
    "weights without numbers": (lstm(w=(INT8, (1, 0, 8))), "three dimensions"),
    "weights of no way": (lstm(w=(INT8, (0, 4, 8))), _GIVEN),
    "weights of floats": (lstm(w=(FLOAT, (1, 4, 8))), _GIVEN),
    "weights of 32 bits": (lstm(w=(INT32, (1, 4, 8))), _GIVEN),
    "weights that are made": (lstm(w=made(INT8, 1, 4, 8)), _IN_FILE),
    "weights that are made too small": (lstm(w=made(INT8, 1, 4, 1)), _IN_FILE),
    "no weights": (lstm(w=""), "too few inputs"),
    "a recurrence with fewer cells": (lstm(r=(INT8, (1, 1, 8))), _GIVEN),
    "a recurrence with more cells": (lstm(r=(INT8, (1, 3, 8))), _GIVEN),
    "a recurrence with half the gates": (lstm(r=(INT8, (1, 2, 4))), _GIVEN),
    "a recurrence of two ways": (lstm(r=(INT8, (2, 2, 8))), _GIVEN),
    "a recurrence in a row": (lstm(r=(INT8, (16,))), _GIVEN),
    "a recurrence of floats": (lstm(r=(FLOAT, (1, 2, 8))), _GIVEN),
    "a recurrence of another type": (lstm(r=(UINT8, (1, 2, 8)), r_zero=(UINT8, (1,))), _GIVEN),
    "a recurrence that is made": (lstm(r=made(INT8, 1, 2, 8)), _IN_FILE),
    "no recurrence": (lstm(r=""), "too few inputs"),
    "a scale without numbers": (lstm(w_scale=(FLOAT, (0,))), _GIVEN),
    "a scale for two ways": (lstm(w_scale=(FLOAT, (2,))), _GIVEN),
    "a scale for fewer gates": (lstm(w_scale=(FLOAT, (1, 7))), _GIVEN),
    "a scale with three dimensions": (lstm(w_scale=(FLOAT, (1, 8, 1))), _GIVEN),
    "a scale that is one number": (lstm(w_scale=(FLOAT, ())), _GIVEN),
    "a scale of doubles": (lstm(w_scale=(DOUBLE, (1,))), _GIVEN),
    "a scale that is made": (lstm(w_scale=made(FLOAT, 1)), _IN_FILE),
    "no scale": (lstm(w_scale=""), _IN_FILE),
    "a recurrence's scale for two ways": (lstm(r_scale=(FLOAT, (2,))), _GIVEN),
    "a recurrence's scale for fewer gates": (lstm(r_scale=(FLOAT, (1, 7))), _GIVEN),
    "a recurrence's scale of whole numbers": (lstm(r_scale=(INT32, (1,))), _GIVEN),
    "a recurrence's scale that is made": (lstm(r_scale=made(FLOAT, 1)), _IN_FILE),
    "a zero for two ways": (lstm(w_zero=(INT8, (2,))), _GIVEN),
    "a zero without numbers": (lstm(w_zero=(INT8, (0,))), _GIVEN),
    "a zero of floats": (lstm(w_zero=(FLOAT, (1,))), _GIVEN),
    "a zero for each gate of one scale": (lstm(w_zero=(INT8, (1, 8))), _GIVEN),
    "no zero": (lstm(w_zero=""), _IN_FILE),
    "a recurrence's zero for three ways": (lstm(r_zero=(INT8, (3,))), _GIVEN),
    "a recurrence's zero of another type": (lstm(r_zero=(UINT8, (1,))), _GIVEN),
    "a recurrence's zero that is shorter": (
        lstm(w_scale=(FLOAT, (1, 8)), w_zero=(INT8, (1, 8)), r_scale=(FLOAT, (1, 8)), r_zero=(INT8, (1,))),
        _GIVEN,
    ),
    "a recurrence's zero that is made": (lstm(r_zero=made(INT8, 1)), _IN_FILE),
    "no inputs after the recurrence": (
        network("DynamicQuantizeLSTM", dict(list(_LSTM.items())[:3]), [_SIZED]),
        _IN_FILE,
    ),
    "a bias of half the size": (lstm(bias=(FLOAT, (1, 8))), _GIVEN),
    "a bias in a row": (lstm(bias=(FLOAT, (16,))), _GIVEN),
    "a bias for two ways": (lstm(bias=(FLOAT, (2, 16))), _GIVEN),
    "a bias of whole numbers": (lstm(bias=(INT32, (1, 16))), _GIVEN),
    "a bias that is made": (lstm(bias=made(FLOAT, 1, 16)), _IN_FILE),
    "a first state with more cells": (lstm(hidden=(FLOAT, (1, 1, 3))), _GIVEN),
    "a first state of two texts": (lstm(hidden=(FLOAT, (1, 2, 2))), _GIVEN),
    "a first state of no text": (lstm(hidden=(FLOAT, (1, 0, 2))), _GIVEN),
    "a first state in a row": (lstm(hidden=(FLOAT, (2,))), _GIVEN),
    "first cells for two ways": (lstm(cells=(FLOAT, (2, 1, 2))), _GIVEN),
    "first cells of whole numbers": (lstm(cells=(INT32, (1, 1, 2))), _GIVEN),
    "lengths": (lstm(lengths=(INT32, (1,))), "has lengths"),
    "lengths that are made": (lstm(lengths=made(INT32, 7)), "has lengths"),
    "peepholes": (lstm(peepholes=(FLOAT, (1, 6))), "has peepholes"),
    "no cells at all": (_hidden(0), _HIDDEN_SIZE),
    "fewer cells than none": (_hidden(-1), _HIDDEN_SIZE),
    "a thousand million cells": (_hidden(1 << 30), _HIDDEN_SIZE),
    "one cell more than there is": (_hidden(3), _GIVEN),
    "one cell fewer than there is": (_hidden(1), _GIVEN),
    "two cells and a half": (_hidden(2.5), _HIDDEN_SIZE),
    "no number of cells": (lstm([]), _HIDDEN_SIZE),
    "two numbers of cells": (lstm([_SIZED, onnx.attribute("hidden_size", 1 << 20)]), "two attributes"),
    "a number that is a text, too": (lstm([_SIZED + onnx.part(4, "2")]), "two kinds"),
    "both ways with the weights of one": (_way("bidirectional"), _GIVEN),
    "a way that there is not": (_way("sideways"), "a direction that there is not"),
    "one way with the weights of two": (
        _way("reverse", w=(INT8, (2, 4, 8)), r=(INT8, (2, 2, 8))),
        _GIVEN,
    ),
    "activations of one's own": (
        lstm([_SIZED, onnx.part(1, "activations") + onnx.part(9, "Affine") + onnx.number(20, 8)]),
        "which no voice needs",
    ),
    "a clip": (lstm([_SIZED, onnx.attribute("clip", 0.5)]), "which no voice needs"),
    "forgetting": (lstm([_SIZED, onnx.attribute("input_forget", 1)]), "must have a input_forget"),
    "a stored sound of no text": (lstm(sound=(FLOAT, (5, 0, 4))), "has its sound"),
    "a stored sound with two dimensions": (lstm(sound=(FLOAT, (5, 4))), "has its sound"),
    "a stored sound of another size": (lstm(sound=(FLOAT, (5, 1, 3))), "has its sound"),
    "weights that a branch makes anew": (
        _in_a_branch(onnx.node("Cast", "w_scale", "w", onnx.attribute("to", INT8))),
        "three dimensions",
    ),
    "lengths in a branch": (_in_a_branch(lengths=(INT32, (1,))), "has lengths"),
    "a slope in a square": (gelu(slope=(FLOAT, (1, 4))), _GIVEN),
    "a slope without numbers": (gelu(slope=(FLOAT, (0,))), _GIVEN),
    "a slope that is made": (gelu(slope=made(FLOAT, 4)), _IN_FILE),
    "a slope of doubles": (gelu(slope=(DOUBLE, (4,))), _GIVEN),
    "a scale of the norm in a square": (norm(scale=(FLOAT, (1, 4))), _GIVEN),
    "a scale of the norm that is made": (norm(scale=made(FLOAT, 4)), _IN_FILE),
    "a scale of the norm of doubles": (norm(scale=(DOUBLE, (4,))), _GIVEN),
    "a shift that is shorter": (norm(shift=(FLOAT, (3,))), _GIVEN),
    "a shift that is made": (norm(shift=made(FLOAT, 4)), _IN_FILE),
    "an extra bias that is longer": (norm(extra=(FLOAT, (1 << 10,))), _GIVEN),
    "a stored sound of nothing": (norm(sound=(FLOAT, (0, 1, 4))), _GIVEN),
    "what is skipped is nothing": (norm(skipped=(FLOAT, (0, 1, 4))), _GIVEN),
    "a stored sound in doubles": (gelu(sound=(DOUBLE, (5, 1, 4))), _GIVEN),
    "no scale of the norm": (norm(scale=""), "too few inputs"),
    "a product turned twice": (product(onnx.attribute("transA", 2)), "must have a transA"),
    "a product turned by a text": (product(onnx.attribute("transB", "1")), "must have a transB"),
    "a product turned by batches": (product(onnx.attribute("transBatchA", 1)), "must have a transBatchA"),
    "a product with a row": (product(right=(FLOAT, (4,))), "factor"),
    "a product with nothing": (product(right=(FLOAT, (4, 0))), "factor"),
    "a product with whole numbers": (product(right=(INT32, (4, 3))), "factor"),
    "a product of one": (product(right=""), "too few inputs"),
    "another operator of that library": (network("Attention", _GELU), "another library"),
    "that operator of another library": (network("FastGelu", _GELU, domain="com.example"), "another library"),
    "another version of that library": (network("FastGelu", _GELU, version=2), "version 2"),
}
"""What the reader refuses, and words of the reason."""

HELD: Mapping[str, bytes] = {
    "weights for fewer numbers than come": lstm(w=(INT8, (1, 3, 8))),
    "weights for more numbers than come": lstm(w=(INT8, (1, 5, 8))),
    "a first state of two texts that is made": lstm(hidden=made(FLOAT, 1, 2, 2)),
    "first cells that are made too small": lstm(cells=made(FLOAT, 1, 1, 1)),
    "first cells of nothing": lstm(cells=made(FLOAT, 1, 1, 0)),
    "a sound with two dimensions": lstm(sound="flat"),
    "a sound without steps": lstm(sound="no_steps"),
    "a sound in whole numbers": lstm(sound="tokens"),
    "a slope that is longer than the sound": gelu(slope=(FLOAT, (1 << 16,))),
    "a slope that is shorter than the sound": gelu(slope=(FLOAT, (1,))),
    "a scale that is longer than the sound": norm(scale=(FLOAT, (9,)), shift="", extra=""),
    "a scale that is shorter than the sound": norm(scale=(FLOAT, (1,)), shift="", extra=""),
    "what is skipped is longer": norm(skipped="table"),
    "a product that does not fit": product(right=(FLOAT, (5, 3))),
    "a product turned so that it does not fit": product(onnx.attribute("transA", 1)),
}
"""What the reader cannot know, as other operators make it. The runtime says no, or can do it."""

DEADLY: Mapping[str, bytes] = {
    "an LSTM without texts": lstm(sound="batches", hidden="", cells=""),
    "a norm that skips nothing": norm(skipped="few_steps"),
}
"""At a speed below 1, the runtime ends its process. From 1 on, they speak."""

RIGHT: Mapping[str, bytes] = {
    "an LSTM": lstm(),
    "an LSTM of two ways, with a scale for each gate": _way(
        "bidirectional",
        w=(INT8, (2, SIZE, GATES)),
        r=(INT8, (2, HIDDEN, GATES)),
        bias=(FLOAT, (2, 2 * GATES)),
        hidden=(FLOAT, (2, 1, HIDDEN)),
        cells=(FLOAT, (2, 1, HIDDEN)),
        w_scale=(FLOAT, (2, GATES)),
        w_zero=(INT8, (2, GATES)),
        r_scale=(FLOAT, (2, GATES)),
        r_zero=(INT8, (2, GATES)),
    ),
    "an LSTM without a bias or a state": lstm(bias="", hidden="", cells=""),
    "an LSTM in a branch": _in_a_branch(),
    "a GELU": gelu(),
    "a GELU without a slope": gelu(slope=""),
    "a norm": norm(onnx.attribute("epsilon", 1e-5)),
    "a product": product(onnx.attribute("transA", 0), onnx.attribute("alpha", 1.0)),
}
"""The four as they should be, made small."""
