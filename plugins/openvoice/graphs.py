"""The graphs of ONNX of both networks, written from the tensors of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper

from plugins.openvoice.layers import Layers, OpenVoiceSizes

_OPSET: Final = 18
_IR_VERSION: Final = 10
_WHOLE: Final = ("first", "end")
"""The inputs that are whole numbers."""

MadeGraph = tuple[bytes, Mapping[str, Any]]
"""The file of a graph, and its weights by name, which are not in the file."""


class _Graph(Layers):
    def __init__(self, sizes: OpenVoiceSizes) -> None:
        super().__init__(sizes)
        self._nodes: list[Any] = []

    def ops(self, kind: str, *inputs: str, count: int, **attributes: Any) -> list[str]:
        names = [f"v{len(self._nodes)}_{number}" for number in range(count)]
        self._nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names

    def made(self, tensors: Mapping[str, Any], value: str, output: str) -> MadeGraph:
        """Return the graph whose `value` becomes the output. What no tensor and no operator gives is an
        input."""
        self._nodes.append(helper.make_node("Identity", [value], [output]))
        used = dict.fromkeys(name for node in self._nodes for name in node.input)
        given = used.keys() - {name for node in self._nodes for name in node.output}
        # Copies: views would keep the whole file in memory.
        arrays = {name: np.array(_weight(tensors, name)) for name in used if name in given and "." in name}
        inputs = [_value(name) for name in used if name in given and name not in arrays]
        weights = [_outside(name, array) for name, array in arrays.items()]
        graph = helper.make_graph(self._nodes, "openvoice", inputs, [_value(output)], weights)
        opset = helper.make_opsetid("", _OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION)
        return bytes(model.SerializeToString()), arrays


def made_graphs(tensors: Mapping[str, Any], sizes: OpenVoiceSizes) -> tuple[MadeGraph, MadeGraph]:
    """Return the converter and the embedder."""
    converting, embedding = _Graph(sizes), _Graph(sizes)
    return (
        converting.made(tensors, converting.converter(), "sound"),
        embedding.made(tensors, embedding.embedder(), "voice"),
    )


def _weight(tensors: Mapping[str, Any], name: str) -> Any:
    """Return a tensor by its name. A weight with a norm is made of both parts."""
    if name in tensors:
        return tensors[name]
    direction, length = tensors[f"{name}_v"], tensors[f"{name}_g"]
    norms = np.sqrt((direction.reshape(len(direction), -1) ** 2).sum(1))
    return direction * (length / norms.reshape(length.shape))


def _value(name: str) -> Any:
    kind = TensorProto.INT64 if name in _WHOLE else TensorProto.FLOAT
    return helper.make_tensor_value_info(name, kind, None)


def _outside(name: str, array: Any) -> Any:
    """Return a weight whose numbers are not in the file."""
    kind = helper.np_dtype_to_tensor_dtype(array.dtype)
    weight = TensorProto(name=name, data_type=kind, dims=array.shape, data_location=TensorProto.EXTERNAL)
    weight.external_data.append(onnx.StringStringEntryProto(key="location", value="weights"))
    return weight
