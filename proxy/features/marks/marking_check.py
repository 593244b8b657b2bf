"""`voxgate check`: which engines' speech is marked here or by the provider, and the certificate."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from policies.routing import Model
from proxy.config import addresses
from proxy.config.addresses import is_local
from proxy.config.config_toml import Config
from proxy.config.finding import Finding, ProbeResults, note, ok, wrong
from proxy.engines.registry import Registry
from proxy.features.marks.certificate import read_certificate, read_test_certificate
from proxy.features.marks.rules import MarkingRules
from proxy.features.marks.section import MARK_KEYS, RECEIPT_KEYS, SECTION, TEST_CERTIFICATE
from proxy.features.marks.signing import SigningCertificate, UnusableCertificate
from proxy.file_store.key_ring import parse_keys
from proxy.file_store.master_keys import VaultFailed
from speech_engine import Hosted

_WHAT = "marking"


def check_marking(config: Config, registry: Registry, results: ProbeResults) -> Iterator[Finding]:
    section = SECTION.of(config)
    of_mark = [*_check_mark(config, registry), *_check_keys(config)]
    yield from of_mark
    # If the mark is off or cannot be made, no finding says that speech has it.
    is_made = bool(section.mark) and not any(each.verdict == "wrong" for each in of_mark)
    marked = [name for name in config.engines if _is_marked(config, results, name)]
    unknown = [name for name in config.engines if _is_unknown(config, registry, results, name)]
    if is_made:
        if marked or not unknown:
            yield ok(_WHAT, f"speech of {', '.join(marked) or 'no engine here'} is marked", name=section.mark)
        if unknown:
            found = (
                f"sound of {', '.join(unknown)} is marked if it is speech, which an engine tells when it runs"
            )
            yield ok(_WHAT, found, name="unknown")
    as_shipped = [name for name in config.engines if config.engines[name].marking is None]
    if left := [name for name in as_shipped if name not in marked and not _is_hosted(config, registry, name)]:
        found = f"speech of {', '.join(left)} is left as it comes: its provider may mark it, or not"
        do = "marking = true in its section marks it here; encoding it anew loses a provider's own manifest"
        yield note(_WHAT, found, do, name="providers")


def _check_mark(config: Config, registry: Registry) -> Iterator[Finding]:
    name = SECTION.of(config).mark
    if name and name not in registry.plugins("mark"):
        known = ", ".join(registry.plugins("mark")) or "none"
        found = (
            f"marking.mark: {name} is not installed, so nothing that must be marked is spoken; known: {known}"
        )
        yield wrong(_WHAT, found, name=name)
    elif not name:
        yield note(_WHAT, 'marking.mark = "": no sound has an inaudible mark', name="none")
    for other in config.plugins_of("mark"):
        if other != name:
            yield note(_WHAT, f"[marks.{other}] has no effect: marking.mark is {name!r}", name=other)


def _check_keys(config: Config) -> Iterator[Finding]:
    text, data = SECTION.of(config).keys, Path(config.data)
    yield from _check_text("marking.keys", text) if text else _check_file(data / MARK_KEYS)
    if addresses.is_postgres(config.storage.url):
        if not text and (stored := data / MARK_KEYS).exists():
            yield note(_WHAT, f"the keys in {stored} are taken over into the database at each start")
        # Servers of 0.1.0 beside this one need its keys in the database.
        yield from _check_file(data / RECEIPT_KEYS)


def _check_file(file: Path) -> Iterator[Finding]:
    """Check a file of keys. It may be missing, because the first start of a server makes it."""
    try:
        text = file.read_text("ascii", "replace")
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        found = f"{file} cannot be read: {error.strerror}"
        yield wrong(_WHAT, found, "let the server's user read it", name=str(file))
    else:
        yield from _check_text(str(file), text)


def _check_text(where: str, text: str) -> Iterator[Finding]:
    try:
        ring = parse_keys(text, where)
    except VaultFailed as error:
        yield wrong(_WHAT, str(error), name=where)
    else:
        yield ok(_WHAT, f"newest key {ring.newest.id}, {len([*ring]) - 1} older", name=where)


def _is_marked(config: Config, results: ProbeResults, name: str) -> bool:
    own_marking = config.engines[name].marking
    if own_marking is not None:
        return own_marking
    return any(MarkingRules().is_due(Model(name, info)) for info in results.models.get(name, ()))


def _is_unknown(config: Config, registry: Registry, results: ProbeResults, name: str) -> bool:
    """Tell whether a local engine does not run, so that it is unknown whether it makes speech."""
    is_known = config.engines[name].marking is not None or name in results.models
    return not is_known and _is_hosted(config, registry, name)


def _is_hosted(config: Config, registry: Registry, name: str) -> bool:
    plugin = registry.plugins("engine").get(config.engines[name].plugin)
    return plugin is not None and isinstance(plugin.create, Hosted)


_CERTIFICATE = "certificate"
_SOON = timedelta(days=30)
_NAME_ONE = "name one for C2PA in marking.certificate and marking.certificate_key"


def check_certificate(config: Config) -> Iterator[Finding]:
    """Check the certificate. Nothing is made: the server makes its test certificate when it first signs."""
    section, file = SECTION.of(config), Path(config.data) / TEST_CERTIFICATE
    if not section.manifests:
        return
    try:
        if section.certificate:
            yield _expiry_finding(read_certificate(section.certificate, section.certificate_key))
            return
        if file.exists():
            read_test_certificate(file.read_bytes(), str(file))
    except UnusableCertificate as error:
        do = "no manifest can be signed; " + (_NAME_ONE if section.certificate else f"remove {file}")
        yield wrong(_CERTIFICATE, str(error), do)
        return
    except OSError as error:
        yield wrong(_CERTIFICATE, f"{file}: {error.strerror}")
        return
    found = "manifests are signed with a test certificate, which nobody trusts"
    if is_local(config.server.host) and not config.server.trusted_proxies:
        # Listeners know that it was made on their own machine.
        yield ok(_CERTIFICATE, found, name="test")
        return
    yield note(_CERTIFICATE, found, _NAME_ONE, name="test")


def _expiry_finding(found: SigningCertificate) -> Finding:
    until = f"signs manifests until {found.expires:%Y-%m-%d}"
    if found.expires - datetime.now(UTC) < _SOON:
        return note(_CERTIFICATE, until, "get the next one in time; a reload takes it", name=found.subject)
    return ok(_CERTIFICATE, until, name=found.subject)
