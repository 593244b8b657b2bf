"""Makes the certificates of a cluster: `voxgate certificates make FOLDER`.

Hosts and gateways have an authority each, and trust only that of the other side. So a host's key, which a
broken engine may read, opens no other host.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID

from proxy.errors import CommandRefused
from proxy.file_store.certificates import MadeCertificate, make_certificate
from proxy.hosts.cluster.certificates import HOST_NAME, SIDES, USES

_AUTHORITY_LIFE, _PAIR_LIFE = timedelta(days=3652), timedelta(days=365)


class MadeFiles(NamedTuple):
    """The names of the written files, without suffix, and when the new pairs end."""

    names: tuple[str, ...]
    end: datetime


def make(folder: Path) -> MadeFiles:
    """Make a new pair for each side, and the two authorities if they are not there. Raises CommandRefused."""
    now = datetime.now(UTC)
    end, made = now + _PAIR_LIFE, dict[str, MadeCertificate]()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for side in SIDES:
            name, own_name = f"{side}s-authority", HOST_NAME if side == "host" else "voxgate-gateway"
            authority = _authority(folder / name, now)
            if authority is None:
                authority = made[name] = make_certificate(_name(f"voxgate {name}"), now + _AUTHORITY_LIFE)
            end = min(end, authority.certificate.not_valid_after_utc)
            use = x509.ExtendedKeyUsage([x509.ObjectIdentifier(USES[side])])
            dns_name = x509.SubjectAlternativeName([x509.DNSName(own_name)])
            made[side] = make_certificate(_name(own_name), end, authority, use, dns_name)
        for name, each in made.items():
            _write(folder / f"{name}.key", each.key_pem, 0o600)
            _write(folder / f"{name}.pem", each.pem, 0o644)
    except OSError as error:
        raise CommandRefused(f"{error.filename or folder}: {error.strerror}") from None
    return MadeFiles(tuple(made), end)


def _authority(file: Path, now: datetime) -> MadeCertificate | None:
    """Return an authority of the folder, or None. Raises CommandRefused if it can sign no more."""
    pem, key_pem = file.with_suffix(".pem"), file.with_suffix(".key")
    if not pem.exists() and not key_pem.exists():
        return None
    try:
        certificate = x509.load_pem_x509_certificate(pem.read_bytes())
        key = load_pem_private_key(key_pem.read_bytes(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise CommandRefused(f"{pem} or {key_pem} is damaged; remove both for a new authority") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise CommandRefused(f"{key_pem} is not the key of {pem}; remove both for a new authority")
    if certificate.not_valid_after_utc <= now:
        raise CommandRefused(f"{pem} has ended; remove it and {key_pem} for a new authority")
    return MadeCertificate(certificate, key)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _write(file: Path, content: bytes, mode: int) -> None:
    """Write a file at once. Between a key and its certificate, a reader sees that they do not fit."""
    part = file.with_name(f".{file.name}.new")
    with os.fdopen(
        os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode), "wb"
    ) as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
    os.replace(part, file)
