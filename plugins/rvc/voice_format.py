"""The stored form of a voice: one safetensors file, written and read without torch.

Its header has `format`, `version`, `f0`, `sample_rate_hz` and `config`. Its tensors are those of RVC's
generator without `enc_q`, as F16 or F32, and maybe `index.vectors`. The same voice gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, BinaryIO, Final, NamedTuple

import numpy as np

from plugins.rvc.faiss_index import read_vectors, write_flat_index
from plugins.rvc.voice_rules import VECTORS, VoiceConfig, VoiceLayout, check_tensors, layout_of, read_layout
from speech_engine.model_declarations import WIDTHS
from speech_engine.model_files import TensorInfo, UnusableModel
from speech_engine.model_files.safetensors import VALUES_KEY, header_of, read_tensors_and_texts
from speech_engine.model_files.torch_writer import write_archive
from speech_engine.trained_files import TrainedFacts, TrainedFiles, UnusableSource

_PIECE: Final = 4 * 1024 * 1024
_TYPES: Final = {"F16": "<f2", "F32": "<f4"}

Pieces = Callable[[], Iterable[bytes | memoryview]]


class VoiceTensor(NamedTuple):
    """A tensor to write. `pieces` returns its bytes, and may be called several times."""

    dtype: str
    shape: tuple[int, ...]
    pieces: Pieces


class VoiceHeader(NamedTuple):
    """The checked header of a voice's file, with the places of its tensors."""

    layout: VoiceLayout
    tensors: Mapping[str, TensorInfo]

    @property
    def vectors(self) -> TensorInfo | None:
        return self.tensors.get(VECTORS)


def read_voice_header(file: BinaryIO, size: int) -> VoiceHeader:
    """Read and check the header of a voice's file. Raise UnusableModel with its fault."""
    tensors, metadata = read_tensors_and_texts(file, size)
    layout = layout_of(metadata)
    check_tensors(layout, tensors)
    return VoiceHeader(layout, tensors)


def write_voice(target: BinaryIO, layout: VoiceLayout, tensors: Mapping[str, VoiceTensor]) -> None:
    """Write a voice's file, with `VECTORS` among its tensors if it has them. Raise UnusableModel."""
    check_tensors(layout, {name: TensorInfo(each.dtype, each.shape) for name, each in tensors.items()})
    # Wide numbers first, so that each tensor begins at a multiple of its width.
    ordered = sorted(tensors.items(), key=lambda item: (-WIDTHS[item[1].dtype], item[0]))
    target.write(header_of(((name, each.dtype, each.shape) for name, each in ordered), layout.metadata))
    for _, tensor in ordered:
        for piece in tensor.pieces():
            target.write(piece)


class RvcFiles:
    """Import and export of voices in the files of RVC-WebUI (.pth, .index)."""

    def bring(self, sources: Mapping[str, BinaryIO], target: BinaryIO) -> None:
        model = sources["model"]
        size = _size(model)
        tensors, metadata = read_tensors_and_texts(model, size)
        layout = _layout_of_source(metadata, tensors)
        check_tensors(layout, tensors)
        brought = {
            name: VoiceTensor(info.dtype, info.shape, partial(_finite_pieces, model, name, info))
            for name, info in tensors.items()
        }
        if (index := sources.get("index")) is not None:
            try:
                count, vectors = read_vectors(index, _size(index), layout.width)
            except UnusableModel as fault:
                raise UnusableSource("index", str(fault)) from None
            brought[VECTORS] = VoiceTensor("F16", (count, layout.width), lambda: (vectors,))
        write_voice(target, layout, brought)

    def check(self, file: BinaryIO, size: int) -> TrainedFacts:
        header = read_voice_header(file, size)
        layout, vectors = header.layout, header.vectors
        return TrainedFacts(
            parameters=sum(info.numbers for name, info in header.tensors.items() if name != VECTORS),
            words={
                "version": layout.version,
                "sample_rate_hz": str(layout.rate_hz),
                "pitch": "yes" if layout.has_pitch else "no",
                "features": str(vectors.shape[0] if vectors is not None else 0),
            },
        )

    def export(self, file: BinaryIO, size: int, form: str, target: BinaryIO) -> None:
        header = read_voice_header(file, size)
        if form == "index":
            if header.vectors is None:
                raise UnusableModel("this voice has no index")
            count, width = header.vectors.shape
            write_flat_index(_pieces(file, header.vectors), count, width, target)
        elif form == "pth":
            _export_pth(file, header, target)
        else:
            raise UnusableModel(f"a voice of RVC has no form {form[:20]!r}; known are pth and index")


FILES: TrainedFiles = RvcFiles()


def _layout_of_source(metadata: Mapping[str, str], tensors: Mapping[str, TensorInfo]) -> VoiceLayout:
    """Return the layout of an imported file: our own form, or torch's with its values."""
    if metadata.get("format") == "rvc":
        return layout_of(metadata)
    try:
        values: dict[str, Any] = json.loads(metadata.get(VALUES_KEY, "{}"))
    except (ValueError, RecursionError):
        values = {}
    if "config" not in values:
        raise UnusableModel(
            "it has no config of plain values beside its weights, so it is no voice of RVC, "
            "or one whose config has numbers of numpy: save it again with RVC-WebUI"
        )
    config, speakers = values["config"], tensors.get("emb_g.weight")
    if isinstance(config, list) and len(config) == len(VoiceConfig._fields) and speakers is not None:
        # The config may name more speakers than the file has.
        config[VoiceConfig._fields.index("speakers")] = speakers.shape[0]
    return read_layout(config, values.get("version"), values.get("f0"), _rate_of(values.get("sr")))


def _rate_of(rate: Any) -> Any:
    """Return the rate as a number. RVC-WebUI writes 40k, and other programs 40000."""
    is_short = isinstance(rate, str) and rate.endswith("k") and rate[:-1].isdecimal() and len(rate) < 5
    return int(rate[:-1]) * 1000 if is_short else rate


def _export_pth(file: BinaryIO, header: VoiceHeader, target: BinaryIO) -> None:
    layout = header.layout
    weights = {name: info for name, info in header.tensors.items() if name != VECTORS}
    values = {
        "config": [_listed(each) for each in layout.config],
        "info": "",
        "sr": f"{layout.rate_hz // 1000}k",
        "f0": int(layout.has_pitch),
        "version": layout.version,
    }
    write_archive(target, "weight", weights, lambda info: _pieces(file, info), values)


def _listed(value: Any) -> Any:
    return [_listed(each) for each in value] if isinstance(value, tuple) else value


def _finite_pieces(file: BinaryIO, name: str, info: TensorInfo) -> Iterator[bytes]:
    """Yield the bytes of a tensor. Raise UnusableModel if a number is not finite."""
    for piece in _pieces(file, info):
        if not np.isfinite(np.frombuffer(piece, _TYPES[info.dtype])).all():
            raise UnusableModel(
                f"its tensor {name} has values that are no numbers: its training went wrong; "
                "save an earlier one of its checkpoints"
            )
        yield piece


def _pieces(file: BinaryIO, info: TensorInfo) -> Iterator[bytes]:
    file.seek(info.begin)
    left = info.bytes
    while left:
        piece = file.read(min(left, _PIECE))
        if not piece:
            raise UnusableModel("it is cut off")
        left -= len(piece)
        yield piece


def _size(file: BinaryIO) -> int:
    return file.seek(0, 2)
