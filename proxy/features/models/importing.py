"""Imports a model: finds the files, converts and checks them in a hidden folder, and then renames this
folder. A kill leaves only a hidden folder, which the next import deletes. The stored files are copies, so
later changes of the source do not matter."""

from __future__ import annotations

import fnmatch
import glob
import os
import shutil
import stat
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from proxy.features.models.changes import HIDDEN_PREFIX
from proxy.features.models.conversion import convert_in_child, cut_in_child
from proxy.features.models.import_order import (
    ImportOrder,
    chosen_languages,
    judge_levels,
    judge_licence,
    judge_names,
)
from proxy.features.models.part_file import replace_file
from proxy.hosts.stored_models import CURRENT, ModelRefused, ModelStore, Progress, hash_file
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

CONVERTED_KINDS = ("tensors", "tokenizer")
"""The kinds of files that are converted."""
_TENSOR_KINDS = ("tensors", "onnx", "npz", "own")
"""The kinds of files that have tensors."""


class Imported(NamedTuple):
    """The imported model. `is_new` is false if exactly these files were stored already. `lacks` are the
    restrictions that this machine does not have for the process that reads files."""

    manifest: ModelManifest
    folder: Path
    is_new: bool
    lacks: tuple[str, ...]


def import_model(store: ModelStore, format_: ModelFormat, order: ImportOrder, progress: Progress) -> Imported:
    """Import a model. The caller holds the store's lock. Raise ModelRefused with the fault."""
    home = store.home(order.name)
    judge_names(order)
    judge_licence(store, order)
    sources = _find_sources(order.source, format_)
    _judge_room(store, sources)
    work_folder = Path(tempfile.mkdtemp(prefix=HIDDEN_PREFIX, dir=store.folder))
    try:
        lacks = _copy_all(sources, work_folder, progress)
        try:
            lacks = tuple(dict.fromkeys((*lacks, *_cut_all(format_, work_folder))))
            facts = check_model(format_, work_folder)
            judge_levels(order, facts.voices)
        except UnusableModel as fault:
            raise ModelRefused(f"{order.source}: {fault}") from None
        manifest = _build_manifest(order, format_, facts, work_folder, progress)
        judge_licence(store, order, manifest.digest)
        write_manifest(work_folder, manifest)
        is_new = _make_current(work_folder, home, manifest.digest)
    except OSError as error:
        raise ModelRefused(f"the import failed: {error.filename or store.folder}: {error.strerror}") from None
    finally:
        shutil.rmtree(work_folder, ignore_errors=True)
    return Imported(manifest, home / manifest.digest, is_new, lacks)


def _find_sources(path: Path, format_: ModelFormat) -> list[tuple[ModelFile, Path]]:
    """Return the files of a format in a folder. `path` is the folder, or the format's first file in it."""
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
    main = ""
    for number, file in enumerate(file for file in format_.files if not file.made_of):
        name = named.name if named is not None and number == 0 else choose_file(folder, names, file, main)
        if name is not None:
            main = main or name
            found.append((file, folder / name))
    return found


def choose_file(folder: Path, names: list[str], file: ModelFile, main: str) -> str | None:
    """Choose the name in a folder that fits a file of a format. None: the optional file is missing. `main` is
    the name of the format's first file. Raise ModelRefused."""
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


def _copy_all(
    sources: list[tuple[ModelFile, Path]], work_folder: Path, progress: Progress
) -> tuple[str, ...]:
    """Copy or convert every file. Return the restrictions that this machine does not have."""
    lacks: dict[str, None] = {}
    for file, path in sources:
        try:
            with _open_plain_file(path) as source, replace_file(work_folder / file.name) as target:
                if file.kind == "tensors":
                    size = os.fstat(source.fileno()).st_size
                    if size > file.most_bytes:
                        raise UnusableModel(f"it has {size:,} bytes; {file.most_bytes:,} are allowed")
                    found = convert_in_child(source, target, file, partial(progress, file.name))
                    lacks.update(dict.fromkeys(found))
                elif file.kind == "tokenizer":
                    target.write(_convert_tokenizer(source))
                elif is_one_array(file, path.name):
                    _pack_array(source, target, path.name, file.most_bytes)
                else:
                    _copy(source, target, file)
        except UnusableModel as fault:
            raise ModelRefused(f"{path}: {fault}") from None
    return tuple(lacks)


def _cut_all(format_: ModelFormat, work_folder: Path) -> tuple[str, ...]:
    """Cut the graphs that have a place for a cut. Return the restrictions that this machine does not have.
    Raise UnusableModel."""
    lacks: tuple[str, ...] = ()
    for file in format_.files:
        tensors = FolderContents(format_.files, work_folder).tensors(file.role) if file.cut_at else ()
        if not set(file.cut_at).intersection(tensors):
            continue
        first, second = (work_folder / half.name for half in format_.files if half.made_of == file.role)
        with (
            _open_plain_file(work_folder / file.name) as source,
            replace_file(first) as first_half,
            replace_file(second) as second_half,
        ):
            try:
                lacks = cut_in_child(source, (first_half, second_half), file)
            except UnusableModel as fault:
                raise UnusableModel(f"{file.name}: {fault}") from None
        if not second.stat().st_size:
            first.unlink()
            second.unlink()
    return lacks


@contextmanager
def _open_plain_file(path: Path) -> Iterator[BinaryIO]:
    """Open a plain file. It may be behind a link, as in caches of models. Raise UnusableModel."""
    try:
        # O_NONBLOCK, because the open of a pipe would wait for a writer.
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


def is_one_array(file: ModelFile, name: str) -> bool:
    """Tell whether a file is an array by itself, where a format has an npz."""
    return file.kind == "npz" and name.endswith(".npy")


def _pack_array(source: BinaryIO, target: BinaryIO, name: str, most_bytes: int) -> None:
    """Write an npz of one array under its file's name, with the same bytes at any time and place."""
    size = os.fstat(source.fileno()).st_size
    if size > most_bytes:
        raise UnusableModel(f"it has {size:,} bytes; {most_bytes:,} are allowed")
    info = zipfile.ZipInfo(name)
    info.create_system = 3  # Unix, on every system
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(info, source.read(size))


def _convert_tokenizer(source: BinaryIO) -> bytes:
    data = source.read(MOST_TEXT_BYTES + 1)
    if len(data) > MOST_TEXT_BYTES:
        raise UnusableModel(f"it has more than {MOST_TEXT_BYTES:,} bytes")
    # A tokenizer is JSON or a message of protobuf. Such a message never begins with "{".
    return data if data.lstrip()[:1] == b"{" else tokenizer_json(memoryview(data))


def _build_manifest(
    order: ImportOrder, format_: ModelFormat, facts: ModelFacts, work_folder: Path, progress: Progress
) -> ModelManifest:
    entries = []
    contents = FolderContents(format_.files, work_folder)
    numbers: Counter[str] = Counter()
    weight_bytes = 0
    # The halves of a file that was cut have its weights again, so the file itself is not counted.
    cut_roles = {file.made_of for file in format_.files if file.made_of and contents.has(file.role)}
    for file in format_.files:
        if not contents.has(file.role):
            continue
        name = file.name
        sha256, size = hash_file(work_folder / name, partial(progress, f"{name}, checked"))
        entries.append(ModelFileEntry(name=name, role=file.role, bytes=size, sha256=sha256))
        if file.role in cut_roles:
            continue
        if file.kind in _TENSOR_KINDS:
            for info in contents.tensors(file.role).values():
                numbers[info.dtype] += info.numbers
        if file.kind in (*_TENSOR_KINDS, "bytes"):
            weight_bytes += size
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
        agreement=order.agreement,
        languages=chosen_languages(order, facts.languages),
        imported_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        parameters=sum(numbers.values()),
        dtype=max(numbers, key=lambda dtype: numbers[dtype], default=""),
        memory_gb=round(weight_bytes / _GB + facts.extra_gb, 2),
    )


def write_manifest(folder: Path, manifest: ModelManifest) -> None:
    """Write a manifest at once: of a stored model, a host may read it now."""
    new = folder / f".{MANIFEST}"
    with replace_file(new) as file:
        file.write(msgspec.json.format(msgspec.json.encode(manifest)))
    new.replace(folder / MANIFEST)
    flush(folder)


def _make_current(work_folder: Path, home: Path, digest: str) -> bool:
    """Give a complete folder its name, and make it the current version. Return whether it is new. If the same
    files are stored already, each is replaced by its new copy: this repairs damaged files, and does not
    disturb hosts that read them."""
    flush(work_folder)
    home.mkdir(exist_ok=True, mode=0o700)
    folder = home / digest
    is_new = not folder.exists()
    if is_new:
        work_folder.rename(folder)
    else:
        for path in work_folder.iterdir():
            path.replace(folder / path.name)
        flush(folder)
    current = home / f".{CURRENT}"
    with replace_file(current) as file:
        file.write(f"{digest}\n".encode())
    flush(home)
    current.replace(home / CURRENT)
    flush(home)
    flush(home.parent)
    return is_new
