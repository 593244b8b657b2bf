"""The fields of ONNX's messages by number, as its public definition has them: the table that `onnx` reads by.

`other` are rare things, which are refused where they stand. Texts for people are read and forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping

from speech_engine.model_files.protobuf import Kind

Fields = Mapping[int, tuple[str, Kind]]

MODEL: Fields = {
    1: ("version of the format", "one"),
    2: ("producer", "one"),
    3: ("producer's version", "one"),
    4: ("domain", "one"),
    5: ("version", "one"),
    6: ("description", "one"),
    7: ("graph", "one"),
    8: ("operators", "many"),
    14: ("metadata", "many"),
    20: ("training", "many"),
    25: ("functions", "many"),
    26: ("configuration", "many"),
}
OPERATORS: Fields = {1: ("domain", "one"), 2: ("version", "one")}
GRAPH: Fields = {
    1: ("node", "many"),
    2: ("name", "one"),
    5: ("initializer", "many"),
    10: ("description", "one"),
    11: ("input", "many"),
    12: ("output", "many"),
    13: ("value", "many"),
    14: ("quantization", "many"),
    15: ("sparse", "many"),
    16: ("metadata", "many"),
}
NODE: Fields = {
    1: ("input", "many"),
    2: ("output", "many"),
    3: ("name", "one"),
    4: ("operator", "one"),
    5: ("attribute", "many"),
    6: ("description", "one"),
    7: ("domain", "one"),
    8: ("overload", "one"),
    9: ("metadata", "many"),
}
ATTRIBUTE: Fields = {
    1: ("name", "one"),
    2: ("float", "one"),
    3: ("int", "one"),
    4: ("text", "one"),
    5: ("tensor", "one"),
    6: ("graph", "one"),
    7: ("floats", "many"),
    8: ("ints", "many"),
    9: ("texts", "many"),
    10: ("other", "many"),
    11: ("other", "many"),
    13: ("description", "one"),
    14: ("other", "one"),
    15: ("other", "many"),
    20: ("type", "one"),
    21: ("other", "one"),
    22: ("other", "one"),
    23: ("other", "many"),
}
ATTRIBUTE_VALUES = frozenset(("float", "int", "text", "tensor", "graph", "floats", "ints", "texts"))
"""An attribute has one of these. Its type says which, and readers differ about what they believe."""
TENSOR: Fields = {
    1: ("dims", "many"),
    2: ("type", "one"),
    3: ("segment", "one"),
    4: ("floats", "many"),
    5: ("int32s", "many"),
    6: ("strings", "many"),
    7: ("int64s", "many"),
    8: ("name", "one"),
    9: ("raw", "one"),
    10: ("doubles", "many"),
    11: ("uint64s", "many"),
    12: ("description", "one"),
    13: ("external", "many"),
    14: ("location", "one"),
    16: ("metadata", "many"),
}
VALUE_INFO: Fields = {
    1: ("name", "one"),
    2: ("type", "one"),
    3: ("description", "one"),
    4: ("metadata", "many"),
}
TYPE: Fields = {1: ("tensor", "one"), 4: ("sequence", "one"), 6: ("denotation", "one")}
TENSOR_TYPE: Fields = {1: ("type", "one"), 2: ("shape", "one")}
SHAPE: Fields = {1: ("dimension", "many")}
DIMENSION: Fields = {1: ("value", "one"), 2: ("parameter", "one"), 3: ("denotation", "one")}

DTYPES = {
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
    12: "U32",
    13: "U64",
    16: "BF16",
}
"""The types of tensors by number. Texts and complex numbers are left out: no voice has any."""

TYPED = {
    "floats": ("F32",),
    "int32s": ("I32", "I16", "I8", "U16", "U8", "BOOL", "F16", "BF16"),
    "int64s": ("I64",),
    "doubles": ("F64",),
    "uint64s": ("U32", "U64"),
}
"""The places of a tensor's numbers, and the types that may lie there."""
