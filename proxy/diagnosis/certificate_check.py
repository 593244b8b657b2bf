"""Findings about the certificates of [host] and [clusters.NAME]."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from proxy.config.clusters import TlsFiles
from proxy.config.finding import Finding, note, ok, wrong
from proxy.config.sections import Config
from proxy.hosts.cluster.certificates import Side, UnusableCertificates, check_pair, read_files

_CHECK = "certificates"
_WARN_BEFORE = timedelta(days=30)
_MAKE = "run voxgate certificates make FOLDER, and replace the files that it names"
_MAKE_AUTHORITY = (
    f"{_MAKE}: in another folder, for new authorities; the file of the authority takes both for a time"
)


def check_certificates(config: Config) -> Iterator[Finding]:
    """Check the certificates that the configuration names. From 30 days before one ends, there is a note."""
    if config.host.certificate:
        yield _pair_finding(config.host, "host", "host")
    for name, section in config.clusters.items():
        if section.certificate:
            yield _pair_finding(section, "gateway", f"clusters.{name}")


def _pair_finding(section: TlsFiles, side: Side, name: str) -> Finding:
    try:
        last_days = check_pair(read_files(section), side)
    except UnusableCertificates as error:
        return wrong(_CHECK, f"{name}.{error}", _MAKE, name=name)
    found = f"it ends on {last_days.certificate:%Y-%m-%d}, the authority on {last_days.authority:%Y-%m-%d}"
    soon = datetime.now(UTC) + _WARN_BEFORE
    if last_days.authority < soon:
        return note(_CHECK, found, _MAKE_AUTHORITY, name=name)
    return (
        note(_CHECK, found, _MAKE, name=name)
        if last_days.certificate < soon
        else ok(_CHECK, found, name=name)
    )
