"""Reads the pickles in which torch lists its tensors, and executes nothing of them.

A pickle is a program that names functions, and Python's reader calls them. This reader calls none. It knows
the few functions that make tensors and plain values. A class that the format lists becomes an empty object,
and every other name is refused.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Collection, Iterator
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, BinaryIO, NamedTuple

from speech_engine.model_files import UnusableModel

MOST_PICKLE_BYTES = 32 * 1024 * 1024
_MOST_INSTRUCTIONS = 4_000_000
_MOST_DIMENSIONS = 8

STORAGES = {
    "DoubleStorage": "F64",
    "FloatStorage": "F32",
    "HalfStorage": "F16",
    "BFloat16Storage": "BF16",
    "LongStorage": "I64",
    "IntStorage": "I32",
    "ShortStorage": "I16",
    "CharStorage": "I8",
    "ByteStorage": "U8",
    "BoolStorage": "BOOL",
}
"""The classes of torch's storages, and the types of their numbers."""

_DICTS = {"collections.OrderedDict", "collections.defaultdict"}
_PLAIN = {
    *("torch.Size", "torch.device", "argparse.Namespace", "_codecs.encode"),
    *(f"pathlib.{name}" for name in ("Path", "PosixPath", "WindowsPath")),
    *(
        f"{module}.{name}"
        for module in ("builtins", "__builtin__")
        for name in ("set", "list", "dict", "int")
    ),
}
"""Functions and classes of settings that are stored with tensors. Each call becomes an empty object, except
that a torch.Size becomes a tuple."""

_TENSORS = {"torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor"}
_PARAMETERS = {"torch._utils._rebuild_parameter"}
_NUMPY = {
    f"{module}.{name}"
    for module in ("numpy.core.multiarray", "numpy._core.multiarray", "numpy")
    for name in ("scalar", "dtype", "_reconstruct", "ndarray")
}
"""Functions and classes of numpy values that are stored with tensors. Each call becomes an empty object."""


class StorageRef(NamedTuple):
    """A storage, by the key of its member in the archive. `length` counts numbers, not bytes."""

    key: str
    dtype: str
    length: int


class TensorRef(NamedTuple):  # `offset` and `strides` count numbers, not bytes
    storage: StorageRef
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Name(NamedTuple):
    text: str


class _EmptyObject:
    """Stands for each instance and each result of a call that is not needed."""

    __slots__ = ()


_MARK = object()
_KEYS = (str, int, float, bool, type(None))
_EMPTY_OBJECT = _EmptyObject()


def read_pickle(file: BinaryIO, stand_ins: Collection[str] = ()) -> Any:
    """Return the content of a pickle: dicts, lists, plain values, and a `TensorRef` for each tensor.

    A class whose name matches a pattern of `stand_ins` becomes an empty object. Raise UnusableModel for
    everything else.
    """
    machine = _Machine(frozenset(stand_ins))
    try:
        for number, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            if number > _MOST_INSTRUCTIONS:
                raise UnusableModel("its pickle has too many instructions")
            machine.step(opcode.name, argument)
        return machine.pop()
    except (ValueError, IndexError, KeyError, TypeError, RecursionError, AttributeError, OverflowError):
        raise UnusableModel("its pickle is damaged, or no pickle of torch") from None


class _Machine:  # it has the stack and the memory of Python's reader, but it calls nothing
    def __init__(self, stand_ins: frozenset[str]) -> None:
        self._stand_ins = stand_ins
        self._stack: list[Any] = []
        self._memory: dict[int, Any] = {}
        self._steps: dict[str, Callable[[Any], None]] = dict(self._table())

    def step(self, name: str, argument: Any) -> None:
        step = self._steps.get(name)
        if step is None:
            raise UnusableModel(f"its pickle uses the instruction {name}, which no file of torch does")
        step(argument)

    def pop(self) -> Any:
        value = self._stack.pop()
        if value is _MARK:
            raise IndexError("a mark where a value should be")
        return value

    def _table(self) -> Iterator[tuple[str, Callable[[Any], None]]]:
        push = self._stack.append
        for name in ("PROTO", "FRAME", "STOP"):
            yield name, lambda _argument: None
        for name in (
            *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE"),
            *("BINUNICODE8", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES"),
        ):
            yield name, push
        for name, value in (("NONE", None), ("NEWTRUE", True), ("NEWFALSE", False), ("MARK", _MARK)):
            yield name, partial(self._push_value, value)
        yield "EMPTY_TUPLE", lambda _argument: push(())
        yield "EMPTY_LIST", lambda _argument: push([])
        # A set becomes a list, because its values may not be hashable here.
        yield "EMPTY_SET", lambda _argument: push([])
        yield "EMPTY_DICT", lambda _argument: push({})
        for number in (1, 2, 3):
            yield f"TUPLE{number}", partial(self._push_tuple, number)
        yield "TUPLE", lambda _argument: push(tuple(self._since_mark()))
        yield "APPEND", lambda _argument: self._extend([self.pop()])
        yield "APPENDS", lambda _argument: self._extend(self._since_mark())
        yield "ADDITEMS", lambda _argument: self._extend(self._since_mark())
        yield "SETITEM", lambda _argument: self._set_items(list(self._last(2)))
        yield "SETITEMS", lambda _argument: self._set_items(self._since_mark())
        for name in ("BINPUT", "LONG_BINPUT"):
            yield name, self._memoize
        yield "MEMOIZE", lambda _argument: self._memoize(len(self._memory))
        for name in ("BINGET", "LONG_BINGET"):
            yield name, lambda number: push(self._memory[number])
        yield "GLOBAL", lambda text: push(self._check_name(text.replace(" ", ".", 1)))
        yield "STACK_GLOBAL", lambda _argument: push(self._check_name(".".join(self._last(2))))
        yield "BINPERSID", lambda _argument: push(_read_storage(self.pop()))
        for name in ("REDUCE", "NEWOBJ"):
            yield name, lambda _argument: push(self._call(*self._last(2)))
        # BUILD sets the attributes of an object. No attribute is needed, so they are dropped.
        yield "BUILD", self._drop

    def _push_value(self, value: Any, _argument: Any) -> None:
        self._stack.append(value)

    def _push_tuple(self, length: int, _argument: Any) -> None:
        self._stack.append(self._last(length))

    def _drop(self, _argument: Any) -> None:
        self.pop()

    def _last(self, count: int) -> tuple[Any, ...]:
        return tuple(reversed([self.pop() for _ in range(count)]))

    def _since_mark(self) -> list[Any]:
        values = []
        while (value := self._stack.pop()) is not _MARK:
            values.append(value)
        return values[::-1]

    def _memoize(self, number: int) -> None:
        self._memory[number] = self._stack[-1]

    def _extend(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, list):
            target.extend(values)
        elif target is not _EMPTY_OBJECT:
            raise TypeError("no list")

    def _set_items(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if target is _EMPTY_OBJECT:
            return
        for key, value in zip(values[::2], values[1::2], strict=True):
            # A key of another type cannot name a tensor, so its value is left out.
            if isinstance(key, _KEYS):
                target[key] = value

    def _check_name(self, text: str) -> _Name:
        module, _, name = text.rpartition(".")
        is_storage = module == "torch" and name in STORAGES
        known = text in _DICTS | _PLAIN | _TENSORS | _PARAMETERS | _NUMPY
        if not (is_storage or known or any(fnmatchcase(text, each) for each in self._stand_ins)):
            shown = text[:100] if text.isprintable() else "something"
            raise UnusableModel(f"its pickle names {shown}, which no such model needs; it is not trusted")
        return _Name(text)

    def _call(self, name: Any, arguments: Any) -> Any:
        if not isinstance(name, _Name) or not isinstance(arguments, tuple):
            raise TypeError("no call of a name")
        if name.text in _TENSORS:
            return _read_tensor(*arguments[:4])
        if name.text in _PARAMETERS:
            return arguments[0]
        if name.text == "torch.Size":
            return tuple(arguments[0])
        if name.text in _DICTS:
            # An OrderedDict of an old pickle has its pairs as the first argument. The first argument of a
            # defaultdict is a factory, which is ignored.
            pairs = arguments[0] if arguments and isinstance(arguments[0], list) else []
            return {key: value for key, value in pairs if isinstance(key, _KEYS)}
        return _EMPTY_OBJECT


def _read_storage(value: Any) -> StorageRef:
    kind, type_, key, _location, count = value
    if kind != "storage" or not isinstance(type_, _Name) or not isinstance(key, str) or not _is_count(count):
        raise UnusableModel("its pickle describes a storage that makes no sense")
    dtype = STORAGES.get(type_.text.removeprefix("torch."))
    if dtype is None:
        raise UnusableModel("its pickle describes a storage of an unknown type")
    return StorageRef(key, dtype, count)


def _read_tensor(storage: Any, offset: Any, shape: Any, strides: Any) -> TensorRef:
    """Return a tensor. Raise UnusableModel if it does not lie inside its storage."""
    fits = (
        isinstance(storage, StorageRef)
        and _is_count(offset)
        and isinstance(shape, tuple)
        and isinstance(strides, tuple)
        and len(shape) == len(strides) <= _MOST_DIMENSIONS
        and all(map(_is_count, (*shape, *strides)))
    )
    if not fits:
        raise UnusableModel("its pickle describes a tensor that makes no sense")
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if 0 not in shape and last >= storage.length:
        raise UnusableModel("its pickle describes a tensor that reaches beyond its storage")
    return TensorRef(storage, offset, shape, strides)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**48
