"""The certificate that signs manifests: whether it can, until when, and whether others trust it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from proxy.config.addresses import is_local
from proxy.config.config_toml import Config
from proxy.config.finding import Finding, note, ok, wrong
from proxy.features.marks.certificate import (
    TEST_FILE,
    SigningCertificate,
    UnusableCertificate,
    read_certificate,
    read_test_certificate,
)
from proxy.features.marks.section import MARKING

_WHAT = "certificate"
_SOON = timedelta(days=30)
_NAME_ONE = "name one for C2PA in marking.certificate and marking.certificate_key"


def certificate(config: Config) -> Iterator[Finding]:
    """Judge the certificate. Nothing is made: the server makes its test certificate when it first signs."""
    section, file = MARKING.of(config), Path(config.data) / TEST_FILE
    if not section.manifests:
        return
    try:
        if section.certificate:
            yield _own(read_certificate(section.certificate, section.certificate_key))
            return
        if file.exists():
            read_test_certificate(file.read_bytes(), str(file))
    except UnusableCertificate as error:
        do = "no manifest can be signed; " + (_NAME_ONE if section.certificate else f"remove {file}")
        yield wrong(_WHAT, str(error), do)
        return
    except OSError as error:
        yield wrong(_WHAT, f"{file}: {error.strerror}")
        return
    found = "manifests are signed with a test certificate, which nobody trusts"
    if is_local(config.server.host) and not config.server.trusted_proxies:
        # Listeners know that it was made on their own machine.
        yield ok(_WHAT, found, name="test")
        return
    yield note(_WHAT, found, _NAME_ONE, name="test")


def _own(found: SigningCertificate) -> Finding:
    until = f"signs manifests until {found.expires:%Y-%m-%d}"
    if found.expires - datetime.now(UTC) < _SOON:
        return note(_WHAT, until, "get the next one in time; a reload takes it", name=found.subject)
    return ok(_WHAT, until, name=found.subject)
