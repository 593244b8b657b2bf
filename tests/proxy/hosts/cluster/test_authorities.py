"""`voxgate certificates make`: new pairs each time, of authorities that stay."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from proxy.errors import CommandRefused
from proxy.file_store.certificates import make_certificate
from proxy.hosts.cluster import authorities
from proxy.hosts.cluster.certificates import SIDES, check_pair, read_files
from tests.commands import run
from tests.proxy.hosts.cluster.certificate_files import files_of, made, write, write_authority
from tests.tables import each_row

PAIRS = {"host.pem", "host.key", "gateway.pem", "gateway.key"}
AUTHORITIES = {
    *("hosts-authority.pem", "hosts-authority.key", "gateways-authority.pem", "gateways-authority.key"),
}


def read(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_each_side_gets_what_it_is_and_no_more(tmp_path: Path) -> None:
    made(tmp_path / "new/folder")
    folder = tmp_path / "new/folder"
    assert contents(folder).keys() == PAIRS | AUTHORITIES
    assert {file.name for file in folder.iterdir() if file.stat().st_mode & 0o077 == 0} == {
        name for name in PAIRS | AUTHORITIES if name.endswith(".key")
    }
    host, gateway = read(folder / "host.pem"), read(folder / "gateway.pem")
    uses = x509.ExtendedKeyUsage
    assert [*host.extensions.get_extension_for_class(uses).value] == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert [*gateway.extensions.get_extension_for_class(uses).value] == [ExtendedKeyUsageOID.CLIENT_AUTH]
    names = host.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["voxgate-host"]
    now = datetime.now(UTC)
    for side, ends in (
        ("host", check_pair(read_files(files_of("host", folder)), "host")),
        ("gateway", check_pair(read_files(files_of("gateway", folder)), "gateway")),
    ):
        assert timedelta(days=364) < ends.certificate - now <= timedelta(days=365), side
        assert timedelta(days=3651) < ends.authority - now <= timedelta(days=3652), side


def test_the_command_says_where_each_file_goes_and_run_again_makes_new_pairs(tmp_path: Path) -> None:
    first = run("certificates", "make", str(tmp_path), environ={})
    assert first.returncode == 0, first.stderr
    text = first.stdout.decode()
    for name in PAIRS | AUTHORITIES:
        assert name in text
    assert "clusters.NAME.authority" in text
    assert "on no server" in text
    before = contents(tmp_path)
    again = run("certificates", "make", str(tmp_path), "--json", environ={})
    answer = json.loads(again.stdout)
    after = contents(tmp_path)
    assert {name for name in after if after[name] == before[name]} == AUTHORITIES
    assert {row["file"] for row in answer["data"] if row["is_new"]} == PAIRS
    for side in ("host", "gateway"):
        read(tmp_path / f"{side}.pem").verify_directly_issued_by(read(tmp_path / f"{side}s-authority.pem"))
    assert b"PRIVATE" not in first.stdout + again.stdout


def test_a_pair_ends_with_its_authority(tmp_path: Path) -> None:
    for side in SIDES:
        write_authority(side, tmp_path, timedelta(days=40))
    end = authorities.make(tmp_path).end
    assert end == read(tmp_path / "hosts-authority.pem").not_valid_after_utc
    assert read(tmp_path / "host.pem").not_valid_after_utc == end


def spoil(folder: Path, what: str) -> None:
    pem, key = folder / "gateways-authority.pem", folder / "gateways-authority.key"
    if what == "lost key":
        key.unlink()
    elif what == "lost certificate":
        pem.unlink()
    elif what == "damaged":
        key.write_bytes(b"nothing")
    elif what == "another key":
        key.write_bytes((folder / "hosts-authority.key").read_bytes())
    else:
        name, ended = x509.Name([]), datetime.now(UTC) - timedelta(minutes=1)
        write(folder / "gateways-authority", make_certificate(name, ended))


@each_row(
    ("what", "reason"),
    [
        ("lost key", "gateways-authority.key: No such file or directory"),
        ("lost certificate", "gateways-authority.pem: No such file or directory"),
        ("damaged", "is damaged; remove both for a new authority"),
        ("another key", "is not the key of"),
        ("ended", "gateways-authority.pem has ended; remove it and"),
    ],
)
def test_an_authority_that_cannot_sign_is_kept_and_nothing_is_written(
    tmp_path: Path, what: str, reason: str
) -> None:
    spoil(made(tmp_path), what)
    before = contents(tmp_path)
    with pytest.raises(CommandRefused) as refused:
        authorities.make(tmp_path)
    assert reason in str(refused.value)
    assert contents(tmp_path) == before


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CommandRefused, match=r"file: File exists"):
        authorities.make(tmp_path / "file")
