"""Mutual TLS between gateways and hosts: who gets in, and why files cannot be used."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from shutil import copyfile

import grpc.aio
import msgspec
import pytest
from structlog.testing import capture_logs

from proxy.config.clusters import ClusterSection, TlsFiles
from proxy.file_store import certificates
from proxy.hosts.cluster import certificates as cluster_certificates
from proxy.hosts.cluster import host_credentials
from proxy.hosts.cluster.certificates import (
    CHANNEL_OPTIONS,
    USES,
    CertificatePair,
    Side,
    UnusableCertificates,
    channel_credentials,
    read_files,
    read_pair,
)
from proxy.hosts.cluster.channels import Channels
from proxy.hosts.cluster.host_credentials import server_credentials
from tests.proxy.hosts.cluster.certificate_files import (
    OTHER,
    files_of,
    made,
    write_authority,
    write_pair,
)
from tests.tables import each_row

HOUR = timedelta(hours=1)
NO_DER = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"
METHOD = "/voxgate.Test/Echo"


async def echo(request: bytes, _context: object) -> bytes:
    return request


@asynccontextmanager
async def serving(folder: Path, read: Callable[[], CertificatePair] | None = None) -> AsyncIterator[int]:
    """The port of a host with the files of a folder."""
    server = grpc.aio.server()
    handlers = {"Echo": grpc.unary_unary_rpc_method_handler(echo)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("voxgate.Test", handlers),))
    with pytest.MonkeyPatch.context() as patch:
        if read is not None:
            patch.setattr(host_credentials, "read_pair", lambda *_: read())
        port = server.add_secure_port("127.0.0.1:0", server_credentials(files_of("host", folder)))
        await server.start()
        try:
            yield port
        finally:
            await server.stop(None)


async def is_let_in(port: int, credentials: grpc.ChannelCredentials | None, name: str = "") -> bool:
    # Another channel to the same port would take the connection of the one before.
    options = [("grpc.use_local_subchannel_pool", 1), *(CHANNEL_OPTIONS if not name else ())]
    target = f"127.0.0.1:{port}"
    if credentials is None:
        channel = grpc.aio.insecure_channel(target, options)
    else:
        channel = grpc.aio.secure_channel(target, credentials, options)
    async with channel:
        try:
            return bool(await channel.unary_unary(METHOD)(b"hello") == b"hello")
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                raise
            return False


def gateway(folder: Path) -> grpc.ChannelCredentials:
    return channel_credentials(read_pair(files_of("gateway", folder), "gateway"))


def of_both(one: Path, other: Path, side: Side) -> None:
    """Let the file of an authority have a second one."""
    file = one / f"{side}s-authority.pem"
    file.write_bytes(file.read_bytes() + (other / file.name).read_bytes())


async def test_a_pair_of_each_side_lets_them_talk(tmp_path: Path) -> None:
    async with serving(made(tmp_path)) as port:
        assert await is_let_in(port, gateway(tmp_path))


def raw(folder: Path) -> CertificatePair:
    return read_files(files_of("gateway", folder))


async def test_a_host_lets_nobody_else_in(tmp_path: Path) -> None:
    folder, other = made(tmp_path / "one"), made(tmp_path / "other")
    own, foreign = raw(folder), raw(other)
    of_host = read_files(files_of("host", folder))
    copyfile(folder / "gateways-authority.pem", other / "gateways-authority.pem")
    copyfile(folder / "gateways-authority.key", other / "gateways-authority.key")
    write_pair("gateway", other, lives=-HOUR / 2)
    expired = raw(other)
    write_pair("gateway", other, use=USES["host"])
    for_servers = raw(other)
    async with serving(folder) as port:
        for pair in (
            foreign._replace(authority=own.authority),
            own._replace(certificate=of_host.certificate, key=of_host.key),
            expired._replace(authority=own.authority),
            for_servers._replace(authority=own.authority),
        ):
            assert not await is_let_in(port, channel_credentials(pair))
        assert not await is_let_in(port, grpc.ssl_channel_credentials(own.authority))
        assert not await is_let_in(port, None)
        assert await is_let_in(port, channel_credentials(own))


async def test_a_gateway_talks_to_no_one_but_a_host(tmp_path: Path) -> None:
    folder, other = made(tmp_path / "one"), made(tmp_path / "other")
    credentials = gateway(folder)
    trusted = raw(folder)

    async def is_believed(certificate: CertificatePair) -> bool:
        """Whether the gateway talks to a host with this certificate, which lets the gateway in."""
        found = certificate._replace(authority=(folder / "gateways-authority.pem").read_bytes())
        async with serving(folder, lambda: found) as port:
            return await is_let_in(port, credentials)

    own = read_files(files_of("host", folder))
    assert await is_believed(own)
    assert not await is_believed(read_files(files_of("host", other)))
    assert not await is_believed(trusted)
    for odd in (
        partial(write_pair, lives=-HOUR / 2),
        partial(write_pair, use=USES["gateway"]),
        partial(write_pair, dns_name="gpu1"),
    ):
        odd("host", folder)
        assert not await is_believed(read_files(files_of("host", folder)))
    async with serving(folder, lambda: own) as port:
        assert not await is_let_in(port, credentials, name="of the address")


async def test_two_authorities_in_a_file_work_during_a_change(tmp_path: Path) -> None:
    old, new = made(tmp_path / "old"), made(tmp_path / "new")
    before = gateway(old)
    of_both(old, new, "host")
    of_both(old, new, "gateway")
    during = gateway(old)
    async with serving(old) as port:
        for credentials in (before, during):
            assert await is_let_in(port, credentials)
        for name in ("gateway.pem", "gateway.key"):
            copyfile(new / name, old / name)
        assert await is_let_in(port, gateway(old))
        for name in ("host.pem", "host.key"):
            copyfile(new / name, old / name)
        assert not await is_let_in(port, before)
        for credentials in (during, gateway(old)):
            assert await is_let_in(port, credentials)


async def test_files_are_read_again_at_a_connection_after_a_change(tmp_path: Path) -> None:
    old, new = made(tmp_path / "old"), made(tmp_path / "new")
    before, after = gateway(old), gateway(new)
    async with serving(old) as port:
        assert await is_let_in(port, before)
        assert not await is_let_in(port, after)
        with capture_logs() as logged:
            (old / "host.key").unlink()
            assert await is_let_in(port, before), "the last usable files stay"
        assert "key: " in logged[0]["reason"]
        for name in ("host.pem", "host.key", "gateways-authority.pem"):
            copyfile(new / name, old / name)
        assert await is_let_in(port, after)
        assert not await is_let_in(port, before)


async def test_files_are_not_read_for_a_connection_while_they_stay_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    minute, files, reads = 0, files_of("host", made(tmp_path)), 0
    monkeypatch.setattr("proxy.hosts.cluster.certificates.time.monotonic", lambda: 60.0 * minute)

    def read() -> CertificatePair:
        nonlocal reads
        reads += 1
        return read_pair(files, "host")

    async with serving(tmp_path, read) as port:
        for _ in range(5):
            assert await is_let_in(port, gateway(tmp_path))
        assert reads == 1
        (tmp_path / "host.key").touch()
        assert await is_let_in(port, gateway(tmp_path))
        assert reads == 2
        # A certificate may begin or end meanwhile.
        minute = 1
        assert await is_let_in(port, gateway(tmp_path))
        assert reads == 3


def test_a_pair_is_never_shown(tmp_path: Path) -> None:
    pair = read_pair(files_of("host", made(tmp_path)), "host")
    assert "PRIVATE" not in f"{pair} {pair!r}"


def put(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)


def swap(folder: Path) -> None:
    for name in (".pem", ".key", "s-authority.pem"):
        host, other = ((folder / f"{side}{name}").read_bytes() for side in ("host", "gateway"))
        put(folder, f"host{name}", other)
        put(folder, f"gateway{name}", host)


def too_long(folder: Path) -> None:
    put(folder, "host.pem", b"\n" * 1_000_000 + (folder / "host.pem").read_bytes())


def begin_late(folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(certificates, "_CLOCKS_DIFFER", -HOUR)
        write_pair("host", folder)


def authority_ends(folder: Path) -> None:
    write_authority("gateway", folder, -HOUR / 2)


@each_row(
    ("spoil", "reason"),
    [
        (lambda folder: (folder / "host.pem").unlink(), "certificate: FILE cannot be read: No such file"),
        (lambda folder: (folder / "host.key").unlink(), "key: FILE cannot be read: No such file"),
        (lambda folder: (folder / "gateways-authority.pem").unlink(), "authority: FILE cannot be read"),
        (partial(put, name="host.pem", content=b""), "certificate: it must be a certificate in PEM"),
        (partial(put, name="host.pem", content=b"\xff" * 99), "certificate: it must be a certificate in PEM"),
        (partial(put, name="host.pem", content=NO_DER), "certificate: it must be a certificate in PEM"),
        (too_long, "certificate: it must be a certificate in PEM"),
        (partial(put, name="host.key", content=b"x"), "key: it must be a private key in PEM"),
        (partial(put, name="gateways-authority.pem", content=b"x"), "authority: it must be a certificate"),
        (lambda folder: copyfile(folder / "host.pem", folder / "host.key"), "key: it must be a private key"),
        (lambda folder: copyfile(folder / "gateway.key", folder / "host.key"), "key: it is not the key of"),
        (partial(write_pair, "host", lives=-HOUR / 2), "certificate: it ended on 2"),
        (begin_late, "certificate: it begins on 2"),
        (swap, "certificate: it is not for a host"),
        (partial(write_pair, "host", use=USES["gateway"]), "certificate: it is not for a host"),
        (partial(write_pair, "host", dns_name="gpu1"), "certificate: its DNS name must be voxgate-host"),
        (
            lambda folder: copyfile(folder / "hosts-authority.pem", folder / "gateways-authority.pem"),
            "authority: it must be the other side's",
        ),
        (
            lambda folder: copyfile(folder / "gateway.pem", folder / "gateways-authority.pem"),
            "authority: it has a certificate that is no authority's",
        ),
        (authority_ends, "authority: it ended on 2"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_used_are_told(
    tmp_path: Path, spoil: Callable[..., object], reason: str
) -> None:
    made(tmp_path)
    spoil(folder=tmp_path) if isinstance(spoil, partial) else spoil(tmp_path)
    with pytest.raises(UnusableCertificates) as refused:
        read_pair(files_of("host", tmp_path), "host")
    assert str(refused.value).replace(str(tmp_path), "").startswith(reason.partition("FILE")[0])
    assert reason.rpartition("FILE")[2] in str(refused.value)
    assert "PRIVATE" not in str(refused.value)


def test_a_swapped_pair_is_told_at_a_gateway_too(tmp_path: Path) -> None:
    swap(made(tmp_path))
    with pytest.raises(UnusableCertificates, match="it is not for a gateway"):
        read_pair(files_of("gateway", tmp_path), "gateway")


def test_a_path_that_is_none_is_told() -> None:
    with pytest.raises(UnusableCertificates, match=r"certificate: 'a.x00' is no path"):
        read_pair(TlsFiles("a\0", "b", "c"), "host")


def test_one_of_two_authorities_may_have_ended(tmp_path: Path) -> None:
    old, new = made(tmp_path / "old"), made(tmp_path / "new")
    authority_ends(old)
    of_both(old, new, OTHER["host"])
    assert read_pair(files_of("host", old), "host").authority.count(b"BEGIN") == 2


async def test_channels_read_their_files_when_these_change_and_each_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path)
    reads, now = list[TlsFiles](), 1000.0

    def read(files: TlsFiles) -> CertificatePair:
        reads.append(files)
        return read_files(files)

    monkeypatch.setattr(cluster_certificates, "read_files", read)
    monkeypatch.setattr(time, "monotonic", lambda: now)
    channels = Channels(ClusterSection(*msgspec.structs.astuple(files_of("gateway", tmp_path))))
    for _ in range(100):
        await channels.open("127.0.0.1:1").close()
    assert len(reads) == 1
    write_pair("gateway", tmp_path)
    await channels.open("127.0.0.1:1").close()
    assert len(reads) == 2
    now += 60.0
    await channels.open("127.0.0.1:1").close()
    assert len(reads) == 3
    (tmp_path / "gateway.key").unlink()
    for _ in range(2):
        with pytest.raises(UnusableCertificates, match="key: "):
            channels.open("127.0.0.1:1")
