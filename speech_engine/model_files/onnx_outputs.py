"""Names a value inside of an ONNX file as one more output, for the time that the file is loaded."""

from __future__ import annotations

from speech_engine.model_files.protobuf import field_pieces

_INT64 = 7
# The numbers of fields in the messages, as `onnx.py` has them.
_MODEL_GRAPH, _OUTPUT, _NAME, _TYPE, _TENSOR, _ELEMENTS = 7, 12, 1, 2, 1, 1


def integer_output(name: str) -> bytes:
    """Return what makes a value of whole numbers an output, if it follows a file's bytes.

    A reader of protobuf joins two messages of one field, so the file's own graph gets the output.
    """
    kind = _field(_TENSOR, _field(_ELEMENTS, _INT64))
    value = _field(_NAME, name.encode()) + _field(_TYPE, kind)
    return _field(_MODEL_GRAPH, _field(_OUTPUT, value))


def _field(number: int, value: int | bytes) -> bytes:
    return b"".join(field_pieces(number, value))
