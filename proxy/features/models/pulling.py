"""Pulls a model of a gallery: fetches its files into a folder of their own, and then imports them.

The operator accepts the licences and agrees to the terms before any file is fetched. A file gets its name
after its digest was checked. After a kill the folder stays, and the next pull resumes in it. No link in the
folder is followed.
"""

from __future__ import annotations

import shutil
import stat
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from proxy.engines.engine_models import StoredModel
from proxy.features.models.addresses import FetchFailed, parse_address
from proxy.features.models.entries import GalleryEntry, GalleryFile, NpmPackage, Package
from proxy.features.models.fetching import FileToFetch, HubPatience, fetch
from proxy.features.models.import_order import ImportOrder, judge_licence
from proxy.features.models.importing import (
    CONVERTED_KINDS,
    Imported,
    choose_file,
    import_model,
    is_one_array,
    write_manifest,
)
from proxy.features.models.index_process import IndexPatience
from proxy.features.models.listing import GalleryModel
from proxy.features.models.npm import NODE_BYTES, has_npm
from proxy.features.models.packages import (
    copy_package,
    delete_leftovers,
    fetch_package,
    join_members,
    package_path,
)
from proxy.features.models.part_file import PartFile, has_digest, replace_file
from proxy.hosts.stored_models import ModelRefused, ModelStore, Progress
from speech_engine.licences import terms_of
from speech_engine.model_files import ModelManifest, UnusableModel
from speech_engine.model_manifest import Agreement

PULL_PREFIX = ".pull-"
"""The name of a pull's folder is this prefix and the model's name. No model can have such a name."""
_SPARE_BYTES = 64 * 1024 * 1024
_GB = 1024**3


class PullOrder(NamedTuple):
    """The order of a pull. `accepted` are the licences that the operator accepts, and `agreed_by`
    names the person who agrees to the model's terms.

    `source` is a folder or an address that has the files, and replaces the gallery's address. If the gallery
    has no digest for a file, the file must have one of `digests`. `token` is the secret for the hub. With
    `again`, a stored model is fetched again. One that `stands_in` speaks where others are late.
    """

    accepted: tuple[str, ...] = ()
    agreed_by: str = ""
    source: str = ""
    digests: tuple[str, ...] = ()
    token: str = ""
    changes_licence: bool = False
    again: bool = False
    stands_in: bool = False
    hub_patience: HubPatience = HubPatience()
    index_patience: IndexPatience = IndexPatience()

    def __repr__(self) -> str:
        return f"<PullOrder from {self.source or 'the gallery'}>"


def pull(store: ModelStore, listed: GalleryModel, order: PullOrder, progress: Progress) -> Imported:
    """Fetch a model and import it. The caller holds the store's lock. Raise ModelRefused with the fault.

    A stored model with the gallery's files, licences and labels is not fetched again.
    """
    agreement = find_agreement(store, listed) or _agree(listed.entry, order.agreed_by)
    require_accepted(listed, order.accepted, agreement)
    import_order = _import_order(store, listed, order)._replace(agreement=agreement)
    judge_licence(store, import_order)
    pull_folder = import_order.source.parent  # the importer reads its subfolder `files`
    found = None if order.again else _find_pulled(store, listed)
    if found is not None and _has_labels(found.manifest, listed):
        shutil.rmtree(pull_folder, ignore_errors=True)  # a pull that was killed at its end left the folder
        manifest = msgspec.structs.replace(found.manifest, agreement=agreement or found.manifest.agreement)
        if manifest != found.manifest:
            try:
                write_manifest(found.folder, manifest)
            except OSError as error:
                raise ModelRefused(f"{listed.name}: {error.filename}: {error.strerror}") from None
        return Imported(manifest, found.folder, is_new=False, lacks=())
    require_token(listed, order)
    try:
        pulling = _PullFolder(listed, order, pull_folder, progress)
        pulling.judge_room()
        pulling.fetch_all()
    except FetchFailed as fault:
        advice = "" if order.source else "; if you have its files, add --from FOLDER or --from https://…"
        raise ModelRefused(f"{listed.name}: {fault}{advice}") from None
    except OSError as error:
        raise ModelRefused(
            f"{listed.name}: {error.filename or pull_folder}: {error.strerror}; "
            "what has come stays, and the next pull goes on with it"
        ) from None
    imported = import_model(store, listed.format_, import_order, progress)
    shutil.rmtree(pull_folder, ignore_errors=True)
    return imported


def require_accepted(listed: GalleryModel, accepted: tuple[str, ...], agreement: Agreement | None) -> None:
    """Raise ModelRefused if a licence of the model is not accepted, or there is no agreement to its terms."""
    accepted_licences = {licence.casefold() for licence in accepted}
    terms = listed.entry.terms if agreement is None else ""
    told = _terms_sentence(listed) if terms else ""
    command = listed.command_of(f"models pull {listed.name}", agrees=bool(terms))
    for licence in listed.entry.to_accept:
        if licence.casefold() not in accepted_licences:
            raise ModelRefused(
                f"{listed.name} is under {licence}: {terms_of(licence).says}.{told} Nothing has been "
                f"fetched; to accept {'both' if terms else 'it'}, run: {command}"
            )
    if terms:
        raise ModelRefused(
            f"{listed.name} has terms, to which nobody has agreed here.{told} Nothing has been fetched; "
            f"to agree, run: {command}"
        )


def find_agreement(store: ModelStore, listed: GalleryModel) -> Agreement | None:
    """Return what the stored model of this name tells of an agreement to the gallery's terms. A file of the
    model may be missing."""
    for model in store.every():
        if isinstance(model, StoredModel) and model.is_current and model.manifest.name == listed.name:
            agreement = model.manifest.agreement
            return agreement if agreement is not None and agreement.terms == listed.entry.terms else None
    return None


def _agree(entry: GalleryEntry, by: str) -> Agreement | None:
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Agreement(terms=entry.terms, page=entry.terms_page, by=by, at=at) if entry.terms and by else None


def require_token(listed: GalleryModel, order: PullOrder) -> None:
    """Raise ModelRefused if the model's hub needs a token and the order has none. A mirror needs no token."""
    if listed.entry.gated and not (order.token or order.source):
        terms = f"accept its terms at {listed.entry.page}, then" if listed.entry.page else "to fetch it,"
        licences = dict.fromkeys(filter(None, (listed.entry.licence, listed.entry.basis)))
        raise ModelRefused(
            f"{listed.name} is gated, under {' and '.join(licences)}.{_terms_sentence(listed)} "
            f"Nothing has been fetched; {terms} run: {listed.command}"
        )


def _terms_sentence(listed: GalleryModel) -> str:
    entry = listed.entry
    return f" Its terms: {entry.terms} ({entry.terms_page})" if entry.terms else ""


def is_pulled(store: ModelStore, listed: GalleryModel) -> bool:
    """Tell whether the stored model of this name has the gallery's files and licences."""
    return _find_pulled(store, listed) is not None


def _find_pulled(store: ModelStore, listed: GalleryModel) -> StoredModel | None:
    """Return the stored model if it has the gallery's files and licences."""
    try:
        found = store.stored_model(listed.name)
    except UnusableModel:
        return None  # it is damaged, so it is fetched again
    if found is None or not (_has_licences(found.manifest, listed) and _has_files(found.manifest, listed)):
        return None
    return found


# `_has_licences` and `_has_files` decide whether a model is fetched again. Other labels are written anew.
def _has_licences(manifest: ModelManifest, listed: GalleryModel) -> bool:
    entry = listed.entry
    return (manifest.licence, manifest.basis) == (entry.licence, entry.basis)


def _has_labels(manifest: ModelManifest, listed: GalleryModel) -> bool:
    entry = listed.entry
    stored = (manifest.attribution, manifest.genders, manifest.lufs)
    return stored == (entry.attribution, entry.genders, entry.lufs)


def _has_files(manifest: ModelManifest, listed: GalleryModel) -> bool:
    """Tell whether a model has the gallery's files. Only unconverted files with a digest are compared."""
    if manifest.engine != listed.plugin:
        return False
    stored = {file.role: file.sha256 for file in manifest.files}
    pinned = {file.name: file.sha256 for file in listed.entry.files}
    main = ""
    for file in listed.format_.files:
        try:
            name = choose_file(Path(listed.name), sorted(pinned), file, main)
        except ModelRefused:
            return False  # the import will report the fault in the gallery
        main = main or name or ""
        if (
            name
            and pinned[name]
            and file.kind not in CONVERTED_KINDS
            and not is_one_array(file, name)
            and stored.get(file.role) != pinned[name]
        ):
            return False
    return True


def _import_order(store: ModelStore, listed: GalleryModel, order: PullOrder) -> ImportOrder:
    entry = listed.entry
    return ImportOrder(
        source=store.folder / f"{PULL_PREFIX}{listed.name}" / "files",
        engine=listed.plugin,
        name=listed.name,
        licence=entry.licence,
        changes_licence=order.changes_licence,
        basis=entry.basis,
        attribution=entry.attribution,
        genders=entry.genders,
        lufs=entry.lufs,
        stated_languages=entry.languages,
    )


class _PullFolder:
    """The folder of a pull: `files` for the importer, incomplete `parts`, and `packages`."""

    def __init__(self, listed: GalleryModel, order: PullOrder, pull_folder: Path, progress: Progress) -> None:
        self._entry = listed.entry
        self._order = order
        self._most_file_bytes = max(file.most_bytes for file in listed.format_.files)
        self._progress = progress
        self._files, self._parts, self._packages = (
            pull_folder / name for name in ("files", "parts", "packages")
        )
        for folder in (pull_folder, self._files, self._parts, self._packages):
            _make_folder(folder)
        delete_leftovers(self._packages)
        names = {file.name for file in self._entry.files}
        for path in self._files.iterdir():
            if path.name not in names:
                path.unlink()  # an older version of the gallery listed it
        self._lacking_files = [file for file in self._entry.files if not self._is_complete(file)]

    def judge_room(self) -> None:
        """Raise ModelRefused if the disk has no room for the download and the import."""
        part_bytes = sum(path.lstat().st_size for path in self._parts.iterdir())
        packages = self._find_lacking_packages()
        package_bytes = [each.size for each in packages]
        if not has_npm() and any(isinstance(each, NpmPackage) for each in packages):
            package_bytes.append(NODE_BYTES)
        size = self._entry.size
        complete_bytes = sum(file.size for file in self._entry.files if file not in self._lacking_files)
        # A package is stored twice while it is fetched.
        fetched = size - complete_bytes - part_bytes + sum(package_bytes) + max(package_bytes, default=0)
        needed = max(fetched, 0) + size + _SPARE_BYTES
        free = shutil.disk_usage(self._files).free
        if needed > free:
            raise ModelRefused(
                f"{self._files}: the download and the import need {needed / _GB:.1f} GB, and "
                f"{free / _GB:.1f} GB are free"
            )

    def fetch_all(self) -> None:
        for file in self._lacking_files:
            part = PartFile(self._parts, file.name)
            if self._is_local:
                self._copy(file, part.path)
            elif file.members and not self._order.source:
                self._join_packages(file, part.path)
            else:
                fetch(
                    self._file_to_fetch(file),
                    part,
                    self._order.hub_patience,
                    partial(self._progress, file.name),
                )
            part.path.replace(self._files / file.name)

    @property
    def _is_local(self) -> bool:
        return bool(self._order.source) and "://" not in self._order.source

    def _is_complete(self, file: GalleryFile) -> bool:
        path = self._files / file.name
        if path.is_symlink() or not path.is_file():
            return False
        known = PartFile(self._parts, file.name).read_info()
        # If a server stated a digest for another address, it may be the digest of an older revision.
        stated_digest = known.digest if known.url in self._urls(file) else ""
        digests = (
            tuple(filter(None, (file.sha256,)))
            or self._order.digests
            or tuple(filter(None, (stated_digest,)))
        )
        report = partial(self._progress, f"{file.name}, checked")
        return bool(digests) and has_digest(path, digests, report)

    def _urls(self, file: GalleryFile) -> tuple[str, ...]:
        if self._is_local:
            return ()
        base = self._order.source
        return (f"{base.rstrip('/')}/{file.name}",) if base else file.urls

    def _file_to_fetch(self, file: GalleryFile) -> FileToFetch:
        base = self._order.source
        return FileToFetch(
            name=file.name,
            urls=tuple(parse_address(url).url for url in self._urls(file)),
            size=file.size,
            most_bytes=self._most_file_bytes,
            digests=(file.sha256,) if file.sha256 else self._order.digests,
            trusts_hub=not base,
            token="" if base else self._order.token,
        )

    def _find_lacking_packages(self) -> list[Package]:
        if self._order.source and not self._is_local:
            return []
        needed = {member.package for file in self._lacking_files for member in file.members}
        return [
            each
            for each in self._entry.packages
            if each.package in needed and not package_path(each, self._packages).is_file()
        ]

    def _join_packages(self, file: GalleryFile, part: Path) -> None:
        """Make a file of packages: those of the operator's folder, or fetched ones."""
        needed = {member.package for member in file.members}
        folder, packages = Path(self._order.source), {}
        for package in self._entry.packages:
            if package.package not in needed:
                continue
            report = partial(self._progress, f"{package.package} {package.version}")
            if self._is_local:
                found = copy_package(package, folder, self._packages, report)
                if found is None:
                    raise ModelRefused(f"{folder}: it has neither {file.name} nor {package.file_pattern}")
            else:
                found = fetch_package(package, self._packages, self._order.index_patience, report)
            packages[package.package] = found
        if not packages:
            raise ModelRefused(f"{folder}: {file.name} is missing")
        join_members(file, packages, part, partial(self._progress, file.name))

    def _copy(self, file: GalleryFile, part: Path) -> None:
        """Copy a file from the operator's folder. If it is missing, make it from the packages there."""
        folder, report = Path(self._order.source), partial(self._progress, file.name)
        source = folder / file.name
        if not source.is_file():
            self._join_packages(file, part)
            return
        if file.size and source.stat().st_size != file.size:
            raise ModelRefused(f"{source}: it has another size than the gallery says")
        with source.open("rb") as source_file, replace_file(part) as target:
            shutil.copyfileobj(source_file, target)
        # If there is no digest, the file is trusted, as `models import` trusts a file.
        digests = (file.sha256,) if file.sha256 else self._order.digests
        if digests and not has_digest(part, digests, report):
            part.unlink()
            raise ModelRefused(f"{source}: its digest is another than the gallery's")


def _make_folder(folder: Path) -> None:
    """Make a folder if it does not exist. Raise ModelRefused if its name belongs to a link or a file."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not stat.S_ISDIR(folder.lstat().st_mode):
            raise ModelRefused(f"{folder}: it is no folder, so nothing is written there; remove it") from None
