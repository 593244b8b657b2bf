"""Reads a gallery, the file `gallery.toml` beside a plugin's module. Each of its tables is a model for
`voxgate models pull`, under its local name. If one is wrong, the whole file is refused."""

from __future__ import annotations

import tomllib
from base64 import b64decode
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from proxy.features.models.addresses import FetchFailed, parse_address
from proxy.features.models.import_order import LICENCE_PATTERN, MOST_LINE_CHARACTERS
from proxy.hosts.stored_models import NAME_PATTERN, ModelRefused
from speech_engine.licences import bound_by, terms_of

_MOST_BYTES = 1024 * 1024

_Name = Annotated[str, Meta(pattern=rf"^{NAME_PATTERN}\Z", description="small letters, digits, . - _")]
_FileName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z", description="no path")]
_Sha256 = Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?\Z", description="64 hex digits")]
_Line = Annotated[
    str, Meta(max_length=MOST_LINE_CHARACTERS, pattern=r"^[^\x00-\x1f]*\Z", description="one line")
]
_Licence = Annotated[str, Meta(pattern=rf"^({LICENCE_PATTERN})?\Z", description="the name of a licence")]
_Terms = Annotated[str, Meta(max_length=600, pattern=r"^[^\x00-\x1f]*\Z", description="up to 600 letters")]
_Variable = Annotated[str, Meta(pattern=r"^(env:[A-Za-z_][A-Za-z0-9_]*)?\Z", description="env:NAME")]
_Bytes = Annotated[int, Meta(ge=0, le=64 * 1024**3)]
_Package = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z", description="a package's name")]
_Version = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9.!+]{0,49}\Z", description="a version")]


class Wheel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A wheel that has files of a model. It is never installed."""

    package: _Package
    version: _Version
    size: Annotated[int, Meta(ge=1, le=4 * 1024**3)]
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z", description="64 hex digits")]

    @property
    def name_prefix(self) -> str:
        return f"{self.package.replace('-', '_').replace('.', '_').lower()}-{self.version}-"

    @property
    def stored_name(self) -> str:
        return f"{self.sha256}.whl"

    @property
    def file_pattern(self) -> str:
        """The pattern of its file's name in an operator's folder, in small letters."""
        return f"{self.name_prefix}*.whl"


class NpmPackage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A package of npm's index that has files of a model. It is never installed, and nothing of it is run.
    `integrity` is that of its tarball, as npm writes it."""

    package: _Package
    version: _Version
    size: Annotated[int, Meta(ge=1, le=1024**3)]
    integrity: Annotated[str, Meta(pattern=r"^sha512-[A-Za-z0-9+/]{86}==\Z", description="sha512-BASE64")]

    @property
    def stored_name(self) -> str:
        return f"{b64decode(self.integrity.removeprefix('sha512-')).hex()}.tgz"

    @property
    def file_pattern(self) -> str:
        return f"{self.package.lower()}-{self.version}.tgz"


Package = Wheel | NpmPackage


class Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A file in a package. In a package of npm it must have a size and a SHA-256."""

    package: _Package
    path: Annotated[str, Meta(pattern=r"^[\w.-]+(/[\w.-]+)*\Z", description="a path inside the package")]
    size: Annotated[int, Meta(ge=0, le=64 * 1024**2)] = 0
    sha256: _Sha256 = ""


class GalleryFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One file of a model: at any of `urls`, or joined of `members` of packages. A size of 0 is unknown.
    Without a `sha256`, the first address's server must send a digest at the download. A file with a `shape`
    is an npz: each member is an array of this shape, of 32-bit floats, under its own name."""

    name: _FileName
    size: _Bytes = 0
    sha256: _Sha256 = ""
    urls: tuple[str, ...] = ()
    members: tuple[Member, ...] = ()
    shape: Annotated[tuple[Annotated[int, Meta(ge=1, le=1_000_000)], ...], Meta(max_length=4)] = ()


class GalleryEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A model of a gallery. `genders` and `lufs` are by voice, "" for the only one.

    `licence` is the model's own, and `basis` that of its base model, or the terms of its recordings: the
    stricter one counts. If sizes of files are unknown, it has about so many `megabytes`. A `gated` model
    needs a `token` of its hub, and its terms are on a `page` there. A model that `speaks_samples` speaks with
    people's own voices, so it has `terms` to which an operator must agree, and a `terms_page` that has them.
    """

    title: _Line
    languages: tuple[str, ...]
    licence: _Licence
    files: Annotated[tuple[GalleryFile, ...], Meta(min_length=1, max_length=64)]
    basis: _Licence = ""
    attribution: _Line = ""
    description: _Line = ""
    genders: dict[str, Literal["male", "female"]] = {}
    lufs: dict[str, float] = {}
    speaks_samples: bool = False
    megabytes: Annotated[int, Meta(ge=0, le=65_536)] = 0
    gated: bool = False
    token: _Variable = ""
    page: _Line = ""
    terms: _Terms = ""
    terms_page: _Line = ""
    wheels: tuple[Wheel, ...] = ()
    npm: tuple[NpmPackage, ...] = ()

    @property
    def packages(self) -> tuple[Package, ...]:
        return (*self.wheels, *self.npm)

    @property
    def size(self) -> int:
        sizes = [file.size for file in self.files]
        return sum(sizes) if all(sizes) else self.megabytes * 1_000_000

    @property
    def bound_by(self) -> str:
        """The licence that counts."""
        return bound_by(self.licence, self.basis)

    @property
    def to_accept(self) -> tuple[str, ...]:
        """The licences that an operator must accept before anything is fetched."""
        named = dict.fromkeys(name for name in (self.licence, self.basis) if name)
        return tuple(name for name in named if terms_of(name).must_accept)


def read_gallery(path: Path) -> dict[str, GalleryEntry]:
    """Return the entries of a file, by name. Raise ModelRefused with the file, the key and the fault."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ModelRefused(f"{path}: it is too large")
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelRefused(f"{path}: it cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ModelRefused(f"{path}: {error}") from None
    return {_check_name(path, name): _read_entry(path, name, table) for name, table in raw.items()}


def _check_name(path: Path, name: str) -> str:
    try:
        return msgspec.convert(name, _Name)
    except msgspec.ValidationError:
        raise ModelRefused(f"{path}: {name[:80]!r} cannot be a model's name") from None


def _read_entry(path: Path, name: str, table: Any) -> GalleryEntry:
    try:
        entry = msgspec.convert(table, GalleryEntry)
    except msgspec.ValidationError as error:
        problem, _, where = str(error).partition(" - at `$")
        raise ModelRefused(f"{path}: {name}{where.rstrip('`')}: {problem}") from None
    packages = {each.package: each for each in entry.packages}
    names: set[str] = set()
    for file in entry.files:
        where = f"{path}: {name}.files: {file.name}"
        if bool(file.urls) == bool(file.members):
            raise ModelRefused(f"{where} needs urls or members, and not both")
        if file.members and not (file.sha256 and file.size):
            raise ModelRefused(f"{where} is made of members, so it needs a size and a sha256")
        if file.name in names:
            raise ModelRefused(f"{where} is there twice")
        names.add(file.name)
        _judge_members(where, file, packages)
        _judge_urls(where, file)
    if len(packages) < len(entry.packages):
        raise ModelRefused(f"{path}: {name}: a package is there twice")
    if (entry.speaks_samples or entry.terms or entry.terms_page) and not (entry.terms and entry.terms_page):
        raise ModelRefused(
            f"{path}: {name}: a model of own voices, or with terms, needs terms and terms_page"
        )
    if entry.gated and not entry.token:
        raise ModelRefused(f"{path}: {name}.gated: it needs a token, such as env:HF_TOKEN")
    return entry


def _judge_members(where: str, file: GalleryFile, packages: Mapping[str, Package]) -> None:
    needed = 4 * prod(file.shape)  # 32-bit floats
    for member in file.members:
        if member.package not in packages:
            raise ModelRefused(f"{where} is in {member.package}, which is not among its wheels and npm")
        if isinstance(packages[member.package], NpmPackage) and not (member.size and member.sha256):
            raise ModelRefused(f"{where}: {member.path} is in npm's index, so it needs a size and a sha256")
        if file.shape and member.size != needed:
            raise ModelRefused(f"{where}: {member.path} must have {needed} bytes for its shape")


def _judge_urls(where: str, file: GalleryFile) -> None:
    for url in file.urls:
        try:
            parse_address(url)
        except FetchFailed as fault:
            raise ModelRefused(f"{where}: {fault}") from None
