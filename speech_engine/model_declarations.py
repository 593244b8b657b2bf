"""The declaration of a model that a plugin can import: its files, their roles, and the check of their
contents."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol

import msgspec

FileKind = Literal["tensors", "onnx", "npz", "json", "tokenizer", "text", "bytes", "own"]


WIDTHS = (
    dict.fromkeys(("F64", "I64", "U64"), 8)
    | dict.fromkeys(("F32", "I32", "U32"), 4)
    | dict.fromkeys(("F16", "BF16", "I16", "U16"), 2)
    | dict.fromkeys(("I8", "U8", "BOOL"), 1)
)
"""The types of tensors, and the bytes of one number of each."""


class UnusableModel(Exception):
    """A model that cannot be used. The message names the file and the fault."""


class TensorInfo(NamedTuple):
    """A tensor's type and shape, and where its bytes begin in the file."""

    dtype: str
    shape: tuple[int, ...]
    begin: int = 0

    @property
    def numbers(self) -> int:
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        return self.numbers * WIDTHS[self.dtype]


class OnnxValue(NamedTuple):
    """An input or an output. A dimension without a number is None."""

    dtype: str
    shape: tuple[int | None, ...] | None


class OnnxNode(NamedTuple):
    """An operator. Of its attributes, whole numbers and lists of them count."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, object] = MappingProxyType({})


class OnnxGraph(NamedTuple):
    """The graph of a file. `tensors` are the weights; `nodes` are those of the outermost graph."""

    inputs: Mapping[str, OnnxValue]
    outputs: Mapping[str, OnnxValue]
    tensors: Mapping[str, TensorInfo]
    nodes: tuple[OnnxNode, ...]

    def __repr__(self) -> str:
        return f"<OnnxGraph of {len(self.nodes)} nodes and {len(self.tensors)} tensors>"


class ModelFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a model. It is stored as `name`, whatever its source was called.

    `sources` are the names under which it may come, best first; `*` stands for any letters, and `{main}` for
    the name of the first file. `tensors` come as safetensors or as a pickle of torch (.pth, .pt), and are
    stored as safetensors. Of a pickle, `roots` says where the tensors are: the first of these keys that it
    has, "" for the pickle itself. `strip` are beginnings that are taken from the tensors' names; tensors
    whose names begin with one of `ignore` are left out. `renames` are pairs of a regular expression and what
    replaces it in the names, for files of another library. `values` are keys of the pickle, beside the
    tensors, whose plain values are kept: as JSON, in the header of the safetensors file. `stand_ins` are
    classes that the pickle may name ("package.module.Class", or "package.*" for all of them); they are read
    as nothing. A `tokenizer` comes as the JSON of the tokenizers library or as a sentencepiece model
    (Unigram), and is stored as JSON. An `onnx` file may have operators that repeat a graph (Loop) only if it
    `may_repeat`. Its host must then be able to stop it, and bounds its memory. `operators` are those beside
    ONNX's own that it may have, as (domain, operator): such whose inputs `onnx_rules` knows how to check.

    An `own` file has the form of one library. The plugin's `reader` returns its tensors, and raises
    UnusableModel.

    A file that is `made_of` another one comes from no source. Two of them are the halves of an `onnx` file
    that has a place to `cut_at`: the convolution with the first of these weights (see `onnx_halves`). If it
    has no such place, the model lacks both.
    """

    role: str
    kind: FileKind
    name: str
    sources: tuple[str, ...] = ()
    most_bytes: int = 16 * 1024**3
    is_optional: bool = False
    may_repeat: bool = False
    operators: tuple[tuple[str, str], ...] = ()
    roots: tuple[str, ...] = ("",)
    strip: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    renames: tuple[tuple[str, str], ...] = ()
    values: tuple[str, ...] = ()
    stand_ins: tuple[str, ...] = ()
    cut_at: tuple[str, ...] = ()
    made_of: str = ""
    reader: Callable[[memoryview], Mapping[str, TensorInfo]] | None = None

    @property
    def patterns(self) -> tuple[str, ...]:
        return self.sources or (self.name,)


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a check. `extra_gb` is the memory that speaking takes beside the weights. `voices` are
    those of the files, "" for the only one."""

    languages: tuple[str, ...] = ()
    voices: tuple[str, ...] = ()
    extra_gb: float = 0.0


class ModelContents(Protocol):
    """The files of one model, by role. Each question raises UnusableModel if the answer makes no sense."""

    def has(self, role: str) -> bool:
        """Tell whether the model has an optional file."""
        ...

    def json(self, role: str) -> Any: ...

    def text(self, role: str) -> str: ...

    def value(self, role: str, path: str) -> Any:
        """Return the value in a JSON file under these keys, joined by dots; None without a value."""
        ...

    def number(self, role: str, path: str, least: int, most: int) -> int:
        """Return a whole number within these bounds."""
        ...

    def strings(self, role: str, path: str) -> tuple[str, ...]:
        """Return a list of short texts that is not empty."""
        ...

    def tensors(self, role: str) -> Mapping[str, TensorInfo]: ...

    def graph(self, role: str) -> OnnxGraph:
        """Return the graph of an ONNX file."""
        ...

    def expect(self, role: str, tensor: str, shape: tuple[int | None, ...]) -> TensorInfo:
        """Return a tensor that must have this shape. None stands for any number."""
        ...


class ModelFormat(msgspec.Struct, frozen=True, kw_only=True):
    """The declaration of a model that an engine's plugin can import. A path may name the first file.

    `check` looks at sizes before anything is built: numbers of the configuration within bounds, and the
    shapes of tensors that follow from them. It raises UnusableModel. It runs where the model is imported and
    where it is loaded, so it needs nothing but the standard library.

    If `listed_in` names a setting, an engine speaks with several models at once: those that this setting
    lists, or else all that were imported for its plugin. Their folders are in the setting `model_paths`.

    If it `names_models`, each imported model is a model of the engine, under its own name, or several: one
    for each of the `variants`, which are ends of that name. Else the engine has one model, `standard`,
    whatever was imported. An engine whose model `hears` calls it as it was imported, without the plugin's
    name and a hyphen before it.
    """

    files: tuple[ModelFile, ...]
    listed_in: str = ""
    names_models: bool = False
    variants: tuple[str, ...] = ("",)
    hears: bool = False
    check: Callable[[ModelContents], ModelFacts] = lambda _contents: ModelFacts()
