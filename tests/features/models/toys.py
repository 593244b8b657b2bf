"""A toy model that a gallery lists: one file at a hub, and one in a wheel."""

import hashlib
import zipfile
from pathlib import Path

import msgspec

from proxy.features.models.entries import GalleryEntry, GalleryFile, Member, Wheel
from proxy.features.models.fetching import HubPatience
from proxy.features.models.listing import GalleryModel
from speech_engine.model_files import ModelFile, ModelFormat

WEIGHTS = bytes(range(256)) * 1600
"""Four hundred kilobytes."""
CONFIG = b'{"sizes": [1, 2, 3]}'
FORMAT = ModelFormat(
    files=(
        ModelFile(role="weights", kind="bytes", name="weights.bin", most_bytes=1_000_000),
        ModelFile(role="config", kind="json", name="config.json"),
    )
)
QUICK = HubPatience(answer_s=5.0, silence_s=0.7)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def wheel(folder: Path, name: str, members: dict[str, bytes], version: str = "1.0") -> Wheel:
    """Write a wheel that pip takes, and return what a gallery says of it."""
    info = f"{name}-{version}.dist-info"
    files = {
        **members,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"]).encode()
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in files.items():
            archive.writestr(member, data)
    return told_of(path, name, version)


def told_of(path: Path, name: str, version: str = "1.0") -> Wheel:
    data = path.read_bytes()
    return Wheel(package=name, version=version, size=len(data), sha256=sha256(data))


def at(name: str, data: bytes, *urls: str, is_told: bool = True) -> GalleryFile:
    """A file at a hub, whose digest the gallery has or not."""
    return GalleryFile(
        name=name, size=len(data) if is_told else 0, sha256=sha256(data) if is_told else "", urls=urls
    )


def joined(name: str, data: bytes, *members: tuple[str, str]) -> GalleryFile:
    parts = tuple(Member(package=package, path=path) for package, path in members)
    return GalleryFile(name=name, size=len(data), sha256=sha256(data), members=parts)


def listed(*files: GalleryFile, wheels: tuple[Wheel, ...] = (), **more: object) -> GalleryModel:
    entry = GalleryEntry(title="A toy", languages=("en",), licence="Apache-2.0", files=files, wheels=wheels)
    return GalleryModel("toy", "chirp", FORMAT, msgspec.structs.replace(entry, **more))
