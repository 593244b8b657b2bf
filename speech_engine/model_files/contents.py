"""The contents of a model's folder, and the check of them before anything is built."""

from __future__ import annotations

import json
import mmap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from speech_engine.model_declarations import (
    ModelFacts,
    ModelFile,
    ModelFormat,
    OnnxGraph,
    TensorInfo,
    UnusableModel,
)
from speech_engine.model_files.npz import read_arrays
from speech_engine.model_files.onnx import read_graph
from speech_engine.model_files.safetensors import read_header

MOST_TEXT_BYTES = 16 * 1024 * 1024
"""The largest JSON or text of a model: it is read into memory."""

_MOST_TEXTS = 1_000

T = TypeVar("T")


class FolderContents:
    """The `ModelContents` of a folder."""

    def __init__(self, files: Sequence[ModelFile], folder: Path) -> None:
        self._files = {file.role: file for file in files}
        self._folder = folder
        self._tensors: dict[str, Mapping[str, TensorInfo]] = {}
        self._graphs: dict[str, OnnxGraph] = {}
        self._json: dict[str, Any] = {}

    def has(self, role: str) -> bool:
        return self._path(role).is_file()

    def json(self, role: str) -> Any:
        if role not in self._json:
            try:
                self._json[role] = json.loads(self.text(role))
            except (ValueError, RecursionError):
                raise self._fault(role, "it is no JSON") from None
        return self._json[role]

    def text(self, role: str) -> str:
        path = self._path(role)
        try:
            if path.stat().st_size > MOST_TEXT_BYTES:
                raise self._fault(role, f"it has more than {MOST_TEXT_BYTES:,} bytes")
            return path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise self._fault(role, "it is no text in UTF-8") from None
        except OSError as error:
            raise self._fault(role, f"it cannot be read: {error.strerror}") from None

    def value(self, role: str, path: str) -> Any:
        value = self.json(role)
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        return value

    def number(self, role: str, path: str, least: int, most: int) -> int:
        value = self.value(role, path)
        if type(value) is not int or not least <= value <= most:
            shown = "missing" if value is None else repr(value)[:40]
            raise self._fault(role, f"{path} is {shown}; it must be a whole number from {least} to {most}")
        return value

    def strings(self, role: str, path: str) -> tuple[str, ...]:
        value = self.value(role, path)
        if not isinstance(value, list) or not 0 < len(value) <= _MOST_TEXTS:
            raise self._fault(role, f"{path} must be a list of texts")
        if not all(isinstance(each, str) and 0 < len(each) <= 100 for each in value):
            raise self._fault(role, f"{path} must be a list of texts")
        return tuple(value)

    def graph(self, role: str) -> OnnxGraph:
        if role not in self._graphs:
            file = self._files[role]
            self._graphs[role] = self._read(
                role, lambda data: read_graph(data, may_repeat=file.may_repeat, operators=file.operators)
            )
        return self._graphs[role]

    def tensors(self, role: str) -> Mapping[str, TensorInfo]:
        if self._files[role].kind == "onnx":
            return self.graph(role).tensors
        reader = read_arrays if self._files[role].kind == "npz" else self._files[role].reader
        if role not in self._tensors and reader is not None:
            self._tensors[role] = self._read(role, reader)
        if role not in self._tensors:
            path = self._path(role)
            try:
                with path.open("rb") as file:
                    tensors = read_header(file, path.stat().st_size)
            except OSError as error:
                raise self._fault(role, f"it cannot be read: {error.strerror}") from None
            except UnusableModel as fault:
                raise self._fault(role, str(fault)) from None
            # An empty tensor needs no bytes for any shape, and a loader allocates by shape.
            empty = next((name for name, info in tensors.items() if not info.numbers), None)
            if empty is not None:
                raise self._fault(role, f"its tensor {empty[:200]} is empty")
            self._tensors[role] = tensors
        return self._tensors[role]

    def expect(self, role: str, tensor: str, shape: tuple[int | None, ...]) -> TensorInfo:
        found = self.tensors(role).get(tensor)
        if found is None:
            raise self._fault(role, f"it has no tensor {tensor}")
        fits = len(found.shape) == len(shape) and all(
            wanted is None or wanted == actual for wanted, actual in zip(shape, found.shape, strict=True)
        )
        if not fits:
            expected = ", ".join("any" if each is None else str(each) for each in shape)
            actual = ", ".join(map(str, found.shape))
            raise self._fault(
                role, f"its tensor {tensor} has the shape ({actual}); it should be ({expected})"
            )
        return found

    def _read(self, role: str, reader: Callable[[memoryview], T]) -> T:
        try:
            with self._path(role).open("rb") as file:
                # The file is mapped, because most of it is weights, which are not read here.
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:
            raise self._fault(role, "it is empty") from None
        except OSError as error:
            raise self._fault(role, f"it cannot be read: {error.strerror}") from None
        try:
            return reader(memoryview(data))
        except UnusableModel as fault:
            raise self._fault(role, str(fault)) from None
        except (ValueError, OSError):
            raise self._fault(role, "it is damaged") from None

    def _path(self, role: str) -> Path:
        return self._folder / self._files[role].name

    def _fault(self, role: str, what: str) -> UnusableModel:
        return UnusableModel(f"{self._files[role].name}: {what}")


def check_model(format_: ModelFormat, folder: Path) -> ModelFacts:
    """Check a folder before a network is built from it. Raise UnusableModel with the fault.

    Numbers, shapes and headers are read; the tensors are not.
    """
    contents = FolderContents(format_.files, folder)
    for file in format_.files:
        if not contents.has(file.role):
            if not file.is_optional:
                raise UnusableModel(f"{file.name} is missing")
        elif file.kind in ("tensors", "onnx", "npz", "own"):
            contents.tensors(file.role)
        elif file.kind in ("json", "tokenizer"):
            contents.json(file.role)
    return format_.check(contents)
