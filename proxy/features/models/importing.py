"""The import of a model: it finds the files, converts and checks them in a hidden folder, then gives it a
name. A kill leaves only a hidden folder, which the next import deletes. The stored copy is on disk before it
has a name, so later changes of the source do not matter."""

from __future__ import annotations

import fnmatch
import glob
import os
import shutil
import stat
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from proxy.engines.stored_models import CURRENT, ModelRefused, ModelStore, Progress, hash_file
from proxy.features.models.changes import HIDDEN
from proxy.features.models.conversion import convert_apart, cut_apart
from proxy.features.models.import_order import (
    ImportOrder,
    chosen_languages,
    judge_levels,
    judge_licence,
    judge_names,
)
from proxy.features.models.part_file import opened_anew
from proxy.storage.disk_names import flush
from speech_engine.model_files import (
    FolderContents,
    ModelFacts,
    ModelFile,
    ModelFileEntry,
    ModelFormat,
    ModelManifest,
    UnusableModel,
    check_model,
)
from speech_engine.model_files.contents import MOST_TEXT_BYTES
from speech_engine.model_files.sentencepiece import tokenizer_json
from speech_engine.model_manifest import MANIFEST, digest_of

_SPARE_BYTES = 64 * 1024 * 1024
_PIECE = 4 * 1024 * 1024
_GB = 1024**3

CONVERTED = ("tensors", "tokenizer")
"""The kinds of files that are converted."""


class Imported(NamedTuple):
    """The model. `is_new` is false if exactly these files were stored already."""

    manifest: ModelManifest
    folder: Path
    is_new: bool
    lacks: tuple[str, ...]


def import_model(store: ModelStore, format_: ModelFormat, order: ImportOrder, progress: Progress) -> Imported:
    """Import a model. The caller holds the store's lock. Raise ModelRefused with what is wrong."""
    home = store.home(order.name)
    judge_names(order)
    judge_licence(store, order)
    sources = _sources(order.source, format_)
    _judge_room(store, sources)
    making = Path(tempfile.mkdtemp(prefix=HIDDEN, dir=store.folder))
    try:
        lacks = _copy_all(sources, making, progress)
        try:
            lacks = tuple(dict.fromkeys((*lacks, *_cut_all(format_, making))))
            facts = check_model(format_, making)
            judge_levels(order, facts.voices)
        except UnusableModel as fault:
            raise ModelRefused(f"{order.source}: {fault}") from None
        manifest = _manifest(order, format_, facts, making, progress)
        judge_licence(store, order, manifest.digest)
        (making / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
        is_new = _place(making, home, manifest.digest)
    except OSError as error:
        raise ModelRefused(f"the import failed: {error.filename or store.folder}: {error.strerror}") from None
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return Imported(manifest, home / manifest.digest, is_new, lacks)


def _sources(path: Path, format_: ModelFormat) -> list[tuple[ModelFile, Path]]:
    """Return the files of a path: a folder with all of them, or the first one beside the others."""
    if path.is_dir():
        folder, named = path, None
    else:
        folder, named = path.parent, path
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise ModelRefused(f"{folder}: {error.strerror}") from None
    if named is not None and named.name not in names:
        raise ModelRefused(f"{path}: there is no such file or folder")
    found: list[tuple[ModelFile, Path]] = []
    for number, file in enumerate(file for file in format_.files if not file.made_of):
        main = found[0][1].name if found else ""
        name = named.name if named is not None and number == 0 else choose_file(folder, names, file, main)
        if name is not None:
            found.append((file, folder / name))
    return found


def choose_file(folder: Path, names: list[str], file: ModelFile, main: str) -> str | None:
    """Return the name in a folder that is a file of a format, or None. `main` is the name of the first file.
    Raise ModelRefused."""
    patterns = [pattern.replace("{main}", glob.escape(main)) for pattern in file.patterns]
    for pattern in patterns:
        fitting = fnmatch.filter(names, pattern)
        if len(fitting) > 1:
            raise ModelRefused(
                f"{folder}: {', '.join(fitting[:5])} could all be its {file.role}; name the file itself"
            )
        if fitting:
            return fitting[0]
    if file.is_optional:
        return None
    raise ModelRefused(f"{folder}: its {file.role} is missing; it is called {' or '.join(patterns)}")


def _judge_room(store: ModelStore, sources: list[tuple[ModelFile, Path]]) -> None:
    needed = _SPARE_BYTES + sum(
        path.stat().st_size * (2 if file.cut_at else 1) for file, path in sources if path.is_file()
    )
    free = shutil.disk_usage(store.folder).free
    if needed > free:
        raise ModelRefused(
            f"{store.folder}: the model needs {needed / _GB:.1f} GB, and {free / _GB:.1f} GB are free"
        )


def _copy_all(sources: list[tuple[ModelFile, Path]], making: Path, progress: Progress) -> tuple[str, ...]:
    """Copy or convert every file. Return the restrictions that this machine lacks."""
    lacks: dict[str, None] = {}
    for file, path in sources:
        try:
            with _opened(path) as source, opened_anew(making / file.name) as target:
                if file.kind == "tensors":
                    size = os.fstat(source.fileno()).st_size
                    if size > file.most_bytes:
                        raise UnusableModel(f"it has {size:,} bytes; {file.most_bytes:,} are allowed")
                    found = convert_apart(source, target, file, partial(progress, file.name))
                    lacks.update(dict.fromkeys(found))
                elif file.kind == "tokenizer":
                    target.write(_tokenizer(source))
                else:
                    _copy(source, target, file)
        except UnusableModel as fault:
            raise ModelRefused(f"{path}: {fault}") from None
    return tuple(lacks)


def _cut_all(format_: ModelFormat, making: Path) -> tuple[str, ...]:
    """Cut the graphs that have a place for it. Return the restrictions that this machine lacks. Raise
    UnusableModel."""
    lacks: tuple[str, ...] = ()
    for file in format_.files:
        tensors = FolderContents(format_.files, making).tensors(file.role) if file.cut_at else ()
        if not set(file.cut_at).intersection(tensors):
            continue
        first, second = (making / half.name for half in format_.files if half.made_of == file.role)
        with _opened(making / file.name) as source, opened_anew(first) as one, opened_anew(second) as other:
            try:
                lacks = cut_apart(source, (one, other), file)
            except UnusableModel as fault:
                raise UnusableModel(f"{file.name}: {fault}") from None
        if not second.stat().st_size:
            first.unlink()
            second.unlink()
    return lacks


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a plain file, or one behind a link, as caches of models have them. Raise UnusableModel."""
    try:
        # Else the open of a pipe would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise UnusableModel(f"it cannot be read: {error.strerror}") from None
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UnusableModel("it is not a plain file")
        yield file


def _copy(source: BinaryIO, target: BinaryIO, file: ModelFile) -> None:
    is_text = file.kind not in ("onnx", "npz", "own", "bytes")
    most = min(file.most_bytes, MOST_TEXT_BYTES) if is_text else file.most_bytes
    done = 0
    while piece := source.read(_PIECE):
        done += len(piece)
        if done > most:
            raise UnusableModel(f"it has more than {most:,} bytes")
        target.write(piece)


def _tokenizer(source: BinaryIO) -> bytes:
    data = source.read(MOST_TEXT_BYTES + 1)
    if len(data) > MOST_TEXT_BYTES:
        raise UnusableModel(f"it has more than {MOST_TEXT_BYTES:,} bytes")
    # No message of protobuf's begins like an object of JSON: it would be one with groups.
    return data if data.lstrip()[:1] == b"{" else tokenizer_json(memoryview(data))


def _manifest(
    order: ImportOrder, format_: ModelFormat, facts: ModelFacts, making: Path, progress: Progress
) -> ModelManifest:
    entries = []
    contents = FolderContents(format_.files, making)
    numbers: Counter[str] = Counter()
    weights = 0
    # What a file was cut into holds its weights once more.
    cut = {file.made_of for file in format_.files if file.made_of and contents.has(file.role)}
    for file in format_.files:
        if not contents.has(file.role):
            continue
        name = file.name
        sha256, size = hash_file(making / name, partial(progress, f"{name}, checked"))
        entries.append(ModelFileEntry(name=name, role=file.role, bytes=size, sha256=sha256))
        if file.role in cut:
            continue
        if file.kind in ("tensors", "onnx", "npz", "own"):
            for info in contents.tensors(file.role).values():
                numbers[info.dtype] += info.numbers
        if file.kind in ("tensors", "onnx", "npz", "own", "bytes"):
            weights += size
    return ModelManifest(
        name=order.name,
        engine=order.engine,
        digest=digest_of(order.engine, entries),
        files=tuple(entries),
        licence=order.licence,
        basis=order.basis,
        attribution=order.attribution,
        genders=dict(order.genders),
        lufs=dict(order.lufs),
        languages=chosen_languages(order, facts.languages),
        imported_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        parameters=sum(numbers.values()),
        dtype=max(numbers, key=lambda dtype: numbers[dtype], default=""),
        memory_gb=round(weights / _GB + facts.extra_gb, 2),
    )


def _place(making: Path, home: Path, digest: str) -> bool:
    """Give a complete folder its name, and make it current. Return whether it is new. If the same files are
    stored already, each is replaced by its equal: that repairs a damaged one, and hosts that read them lose
    nothing."""
    flush(making)
    home.mkdir(exist_ok=True, mode=0o700)
    folder = home / digest
    is_new = not folder.exists()
    if is_new:
        making.rename(folder)
    else:
        for path in making.iterdir():
            path.replace(folder / path.name)
        flush(folder)
    current = home / f".{CURRENT}"
    with opened_anew(current) as file:
        file.write(f"{digest}\n".encode())
    flush(home)
    current.replace(home / CURRENT)
    flush(home)
    flush(home.parent)
    return is_new
