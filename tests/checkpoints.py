"""Tiny checkpoints: safetensors, archives as `torch.save` writes them, and a plugin that takes such files."""

import json
import struct
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.faults.plugin_folders import install

TYPES = {"F32": "FloatStorage", "F16": "HalfStorage", "I64": "LongStorage", "U8": "ByteStorage"}
WIDTHS = {"F32": 4, "F16": 2, "I64": 8, "U8": 1}

PLUGIN = """
import json
from speech_engine import Hosted, Plugin
from speech_engine.model_files import ModelFacts, ModelFile, ModelFormat
from plugins.tone.plugin import ToneSettings

class Settings(ToneSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    model_path: str = ""

def check(model):
    layers = model.number("config", "model.layers", 1, 8)
    dims = model.number("config", "model.dims", 1, 64)
    words = len(model.json("vocabulary"))
    model.expect("weights", "embed.weight", (words, dims))
    for layer in range(layers):
        model.expect("weights", f"layer.{layer}.weight", (dims, dims))
    return ModelFacts(languages=model.strings("config", "languages"), extra_gb=0.5)

FORMAT = ModelFormat(
    names_models=True,
    files=(
        ModelFile(
            role="weights", kind="tensors", name="model.safetensors",
            sources=("model.safetensors", "model.pth", "best_*.pth"),
            roots=("model", ""), strip=("chirp.",), ignore=("optimizer.",),
            stand_ins=("chirp.config.ChirpConfig",), most_bytes=64 * 1024 * 1024,
        ),
        ModelFile(role="config", kind="json", name="config.json"),
        ModelFile(role="vocabulary", kind="json", name="vocab.json"),
        ModelFile(role="notes", kind="text", name="notes.txt", is_optional=True),
    ),
    check=check,
)

def voxgate_register():
    hosted = Hosted("v_chirp_worker")
    return (Plugin(kind="engine", name="chirp", settings=Settings, create=hosted, model_format=FORMAT),)
"""
"""An engine that speaks tones, and wants a model for it. Its first word is the size of the vocabulary."""

_WORKER = """
import json
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import msgspec
from plugins.tone.worker import ToneEngine
from speech_engine import Plugin
from v_chirp import Settings

class Chirp(ToneEngine):
    def __init__(self, name, settings, context):
        super().__init__(name, settings, context)
        self.words = len(json.loads((Path(settings.model_path) / "vocab.json").read_text()))

    async def speak(self, job):
        first, *rest = job.segments
        first = msgspec.structs.replace(first, spoken=f"{self.words} {first.spoken}")
        async with aclosing(super().speak(msgspec.structs.replace(job, segments=(first, *rest)))) as events:
            async for event in events:
                yield event

@asynccontextmanager
async def create(name, settings, context):
    yield Chirp(name, settings, context)

def voxgate_register():
    return (Plugin(kind="engine", name="chirp", settings=Settings, create=create),)
"""


def install_chirp(folder: Path) -> None:
    """Put the plugin into a folder, for one that is on the path."""
    install(folder, "v_chirp", PLUGIN)
    (folder / "v_chirp_worker.py").write_text(_WORKER)


class Tensor(NamedTuple):
    dtype: str
    shape: tuple[int, ...]
    data: bytes


def floats(*shape: int, first: float = 0.0) -> Tensor:
    """A tensor of these numbers, one after the other."""
    count = 1
    for size in shape:
        count *= size
    return Tensor("F32", shape, struct.pack(f"<{count}f", *(first + number for number in range(count))))


def tiny(words: int = 3, dims: int = 4, layers: int = 2) -> dict[str, Tensor]:
    """The tensors of a model that the plugin takes."""
    named = {f"layer.{number}.weight": floats(dims, dims, first=float(number)) for number in range(layers)}
    return {"embed.weight": floats(words, dims), **named}


def write_rest(folder: Path, words: int = 3, dims: int = 4, layers: int = 2) -> Path:
    """The files beside the weights."""
    folder.mkdir(exist_ok=True)
    config = {"model": {"layers": layers, "dims": dims}, "languages": ["en", "th"]}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "vocab.json").write_text(json.dumps({f"w{number}": number for number in range(words)}))
    return folder


def safetensors(tensors: Mapping[str, Tensor]) -> bytes:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    body = b""
    for name, tensor in tensors.items():
        places = [len(body), len(body) + len(tensor.data)]
        header[name] = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": places}
        body += tensor.data
    return with_header(header, body)


def with_header(header: Any, body: bytes = b"") -> bytes:
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(head).to_bytes(8, "little") + head + body


class Called(NamedTuple):
    """In a pickle: a function or class by its name, called with these."""

    name: str
    arguments: tuple[Any, ...] = ()
    state: Any = None


class Stored(NamedTuple):
    """In a pickle: a tensor in a storage."""

    key: str
    dtype: str
    numbers: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int = 0


def strides(shape: Iterable[int]) -> tuple[int, ...]:
    found: list[int] = []
    step = 1
    for size in reversed(list(shape)):
        found.insert(0, step)
        step *= size
    return tuple(found)


def pickled(value: Any) -> bytes:
    """The instructions that make a value, as `torch.save` writes them."""
    return b"\x80\x02" + _pickled(value) + b"."


def _pickled(value: Any) -> bytes:
    match value:
        case Called(name, arguments, state):
            made = _name(name) + _pickled(arguments) + b"R"
            return made + (_pickled(state) + b"b" if state is not None else b"")
        case Stored():
            return _stored(value)
        case _Name(text):
            return _name(text)
        case tuple():
            return b"(" + b"".join(map(_pickled, value)) + b"t"
        case list():
            return b"](" + b"".join(map(_pickled, value)) + b"e"
        case dict():
            pairs = b"".join(_pickled(key) + _pickled(inner) for key, inner in value.items())
            return b"}(" + pairs + b"u"
    return _plain(value)


def _plain(value: Any) -> bytes:
    match value:
        case None:
            return b"N"
        case bool():
            return b"\x88" if value else b"\x89"
        case int():
            return b"J" + struct.pack("<i", value) if abs(value) < 2**31 else _long(value)
        case float():
            return b"G" + struct.pack(">d", value)
        case str():
            return b"X" + struct.pack("<I", len(value.encode())) + value.encode()
    raise TypeError(value)


def _stored(value: Stored) -> bytes:
    place = ("storage", _Name(f"torch {TYPES[value.dtype]}"), value.key, "cpu", value.numbers)
    last = (value.offset, value.shape, value.strides, False, Called("collections OrderedDict"))
    arguments = b"(" + _pickled(place) + b"Q" + b"".join(map(_pickled, last)) + b"t"
    return _name("torch._utils _rebuild_tensor_v2") + arguments + b"R"


class _Name(NamedTuple):
    text: str


def _name(text: str) -> bytes:
    return b"c" + text.replace(" ", "\n").encode() + b"\n"


def _long(value: int) -> bytes:
    raw = value.to_bytes(9, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def archive(
    path: Path,
    value: Any,
    storages: Mapping[str, bytes],
    *,
    compression: int = zipfile.ZIP_STORED,
    more: Mapping[str, bytes] | None = None,
) -> Path:
    """An archive with this pickle and these storages."""
    body = value if isinstance(value, bytes) else pickled(value)
    with zipfile.ZipFile(path, "w", compression) as made:
        made.writestr("archive/data.pkl", body)
        made.writestr("archive/byteorder", b"little")
        for key, data in storages.items():
            made.writestr(f"archive/data/{key}", data)
        for name, data in (more or {}).items():
            made.writestr(name, data)
    return path


def torch_file(path: Path, tensors: Mapping[str, Tensor], root: str = "model", prefix: str = "") -> Path:
    """What `torch.save({root: tensors, "config": …})` leaves."""
    named: dict[str, Any] = {}
    storages = {}
    for number, (name, tensor) in enumerate(tensors.items()):
        numbers = len(tensor.data) // WIDTHS[tensor.dtype]
        named[prefix + name] = Stored(str(number), tensor.dtype, numbers, tensor.shape, strides(tensor.shape))
        storages[str(number)] = tensor.data
    config = Called("chirp.config ChirpConfig", (), {"layers": 2, "paths": ["/etc/passwd"]})
    return archive(path, {root: named, "config": config, "step": 7, "loss": 0.5}, storages)
