"""Reads and checks the certificates of a gateway or a host, and makes gRPC's credentials of them.

All hosts have one DNS name, so that a name that leads to many machines needs one certificate. Without a
cluster no code imports this module.
"""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import grpc
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from proxy.config.clusters import TlsFiles

E = TypeVar("E", bound=x509.ExtensionType)
Side = Literal["host", "gateway"]

SIDES: tuple[Side, ...] = ("host", "gateway")
USES: dict[Side, str] = {"host": "1.3.6.1.5.5.7.3.1", "gateway": "1.3.6.1.5.5.7.3.2"}
"""The extended key usage of each side: serverAuth, clientAuth."""

HOST_NAME = "voxgate-host"
CHANNEL_OPTIONS = (("grpc.ssl_target_name_override", HOST_NAME),)
"""Options of each channel with `channel_credentials`."""

_MOST_BYTES = 1_000_000


class UnusableCertificates(ValueError):
    """The files of one side cannot be used. The message has the reason, and never a key."""


class CertificatePair(NamedTuple):
    """A certificate, its private key, and the authority of the other side, all in PEM."""

    certificate: bytes
    key: bytes
    authority: bytes

    def __repr__(self) -> str:
        return "<CertificatePair>"


class CertificateEnds(NamedTuple):
    """When the certificate ends, and when the last authority of the other side does."""

    certificate: datetime
    authority: datetime


def read_pair(files: TlsFiles, side: Side) -> CertificatePair:
    """Read and check the files of one side, anew at each call. Raises UnusableCertificates."""
    pair = read_files(files)
    check_pair(pair, side)
    return pair


def stamp(files: TlsFiles) -> tuple[object, ...]:
    """Return a value that changes when one of the files does, and each minute: certificates begin and end."""
    stamps: list[object] = [time.monotonic() // 60]
    for name in CertificatePair._fields:
        with suppress(OSError, ValueError):
            found = Path(getattr(files, name)).stat()
            stamps += [name, found.st_mtime_ns, found.st_size, found.st_ino]
    return tuple(stamps)


def read_files(files: TlsFiles) -> CertificatePair:
    """Read the files as they are. Raises UnusableCertificates."""
    found = []
    for name in CertificatePair._fields:
        file: str = getattr(files, name)
        try:
            with Path(file).open("rb") as opened:
                found.append(opened.read(_MOST_BYTES))  # a device has no end
        except OSError as error:
            raise UnusableCertificates(f"{name}: {file} cannot be read: {error.strerror}") from None
        except ValueError:
            raise UnusableCertificates(f"{name}: {file!r} is no path") from None
    return CertificatePair(*found)


def check_pair(pair: CertificatePair, side: Side) -> CertificateEnds:
    """Check that this side can use the files, and return when they end. Raises UnusableCertificates."""
    now = datetime.now(UTC)
    leaf, authorities = _parsed(pair.certificate, "certificate")[0], _parsed(pair.authority, "authority")
    try:
        is_own_key = load_pem_private_key(pair.key, None).public_key() == leaf.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UnusableCertificates("key: it must be a private key in PEM, without a password") from None
    if not is_own_key:
        raise UnusableCertificates("key: it is not the key of the certificate")
    _check_time(leaf, "certificate", now)
    _check_side(leaf, side)
    for each in authorities:
        basic = _extension(each, x509.BasicConstraints, "authority")
        if basic is None or not basic.ca:
            raise UnusableCertificates("authority: it has a certificate that is no authority's")
        if _has_signed(each, leaf):
            raise UnusableCertificates(
                "authority: it must be the other side's, and has signed this certificate"
            )
    # During a change, the earlier one of two may have ended.
    last = max(authorities, key=lambda each: each.not_valid_after_utc)
    _check_time(last, "authority", now)
    return CertificateEnds(leaf.not_valid_after_utc, last.not_valid_after_utc)


def _parsed(pem: bytes, name: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise UnusableCertificates(f"{name}: it must be a certificate in PEM") from None


def _check_time(certificate: x509.Certificate, name: str, now: datetime) -> None:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if end <= now:
        raise UnusableCertificates(f"{name}: it ended on {end:%Y-%m-%d}")
    if now < begin:
        raise UnusableCertificates(f"{name}: it begins on {begin:%Y-%m-%d}")


def _check_side(leaf: x509.Certificate, side: Side) -> None:
    uses = _extension(leaf, x509.ExtendedKeyUsage, "certificate")
    if uses is not None and x509.ObjectIdentifier(USES[side]) not in uses:
        raise UnusableCertificates(f"certificate: it is not for a {side}; those of the sides may be swapped")
    names = _extension(leaf, x509.SubjectAlternativeName, "certificate")
    if side == "host" and (names is None or HOST_NAME not in names.get_values_for_type(x509.DNSName)):
        raise UnusableCertificates(f"certificate: its DNS name must be {HOST_NAME}")


def _extension(certificate: x509.Certificate, kind: type[E], name: str) -> E | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
    except (ValueError, x509.DuplicateExtension):
        raise UnusableCertificates(f"{name}: it has extensions that cannot be read") from None


def _has_signed(authority: x509.Certificate, leaf: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def channel_credentials(pair: CertificatePair) -> grpc.ChannelCredentials:
    """Return what a gateway shows to hosts, and whom it believes. The channel needs `CHANNEL_OPTIONS`."""
    return grpc.ssl_channel_credentials(pair.authority, pair.key, pair.certificate)
