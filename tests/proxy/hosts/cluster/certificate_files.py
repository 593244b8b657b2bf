"""The files of a cluster's sides, good and bad, in a folder."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from proxy.config.clusters import TlsFiles
from proxy.file_store.certificates import MadeCertificate, make_certificate
from proxy.hosts.cluster import authorities
from proxy.hosts.cluster.certificates import HOST_NAME, USES, Side

OTHER: dict[Side, Side] = {"host": "gateway", "gateway": "host"}


def files_of(side: Side, folder: Path) -> TlsFiles:
    names = (f"{side}.pem", f"{side}.key", f"{OTHER[side]}s-authority.pem")
    return TlsFiles(*(str(folder / name) for name in names))


def made(folder: Path) -> Path:
    """A folder as the command leaves it."""
    authorities.make(folder)
    return folder


def write_pair(
    side: Side,
    folder: Path,
    *,
    lives: timedelta = timedelta(days=1),
    use: str | None = None,
    dns_name: str = HOST_NAME,
) -> None:
    """Put another pair in the place of a side's, signed by its authority, which the folder has."""
    authority = authorities._authority(folder / f"{side}s-authority", datetime.now(UTC))
    assert authority is not None
    extensions = (
        x509.ExtendedKeyUsage([x509.ObjectIdentifier(use or USES[side])]),
        x509.SubjectAlternativeName([x509.DNSName(dns_name)]),
    )
    pair = make_certificate(x509.Name([]), datetime.now(UTC) + lives, authority, *extensions)
    write(folder / side, pair)


def write_authority(side: Side, folder: Path, lives: timedelta = timedelta(days=1)) -> None:
    write(folder / f"{side}s-authority", make_certificate(x509.Name([]), datetime.now(UTC) + lives))


def write(file: Path, certificate: MadeCertificate) -> None:
    file.with_suffix(".pem").write_bytes(certificate.pem)
    file.with_suffix(".key").write_bytes(certificate.key_pem)
