"""A worker's process and its pipe: it never outlives its supervisor, and is never deaf to it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from proxy.access import dev_key
from proxy.config.sections import Config, Server, Storage
from proxy.feature_list import open_store
from proxy.file_store import data_folder
from proxy.helpers.child import Child
from proxy.processes import runtime
from proxy.storage import api_key, key_records
from speech_engine.host.pipe_messages import (
    Broken,
    Ready,
    Revision,
)

pytestmark = pytest.mark.slow

SOON_S = 20.0


@asynccontextmanager
async def _worker(config: Config) -> AsyncIterator[Child]:
    """One as the supervisor starts it, and its configuration on the way."""
    with (
        runtime.open_listener("127.0.0.1", 0) as http,
        data_folder.lock_data_folder(Path(config.data)),
        runtime.runtime_folder(Path(config.data)) as folder,
        runtime.control_socket(folder) as control,
    ):
        child = await Child.start("proxy.processes.worker", "0", inherit=(http.fileno(), control.fileno()))
        try:
            child.send(Revision(1, msgspec.msgpack.encode(config)))
            yield child
        finally:
            child.kill()
            await child.wait_for_end()


async def test_a_worker_that_waits_for_its_database_ends_with_its_supervisor(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.setblocking(False)
        url = f"postgresql://voxgate@127.0.0.1:{silent.getsockname()[1]}/voxgate?sslmode=disable"
        async with _worker(Config(data=str(tmp_path / "data"), storage=Storage(url))) as child:
            async with asyncio.timeout(SOON_S):
                asked, _ = await asyncio.get_running_loop().sock_accept(silent)
            child._writer.close()  # what the end of the supervisor's process does
            async with asyncio.timeout(2.0):  # the database would be given longer
                assert await child.process.wait() == 0
            asked.close()


async def test_a_worker_that_cannot_understand_its_supervisor_ends_with_a_reason(tmp_path: Path) -> None:
    async with _worker(Config(data=str(tmp_path / "data"))) as child, asyncio.timeout(SOON_S):
        async with aclosing(child.messages()) as messages:
            assert isinstance(await anext(messages), Ready)
            child.send(Revision(2, b"\xc1"))
            broken = await anext(messages)
        assert isinstance(broken, Broken)
        assert (broken.reason, broken.lasting) == ("DecodeError, see the log", False)
        assert await child.process.wait() == 1


async def test_a_worker_that_cannot_announce_itself_ends_with_a_reason(tmp_path: Path) -> None:
    config = Config(data=str(tmp_path / "data"))
    config = msgspec.structs.replace(config, server=msgspec.structs.replace(config.server, dev_key=True))
    (tmp_path / "data" / "dev-key").mkdir(parents=True)
    async with _worker(config) as child, asyncio.timeout(SOON_S):
        async with aclosing(child.messages()) as messages:
            broken = await anext(messages)
        assert isinstance(broken, Broken)
        assert broken.reason.startswith("IsADirectoryError")
        assert await child.process.wait() == 1


@pytest.mark.parametrize(("host", "is_revoked"), [("0.0.0.0", True), ("::1", False)])
async def test_a_dev_key_from_before_is_dead_where_others_can_come(
    tmp_path: Path, host: str, is_revoked: bool
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    async with open_store("sqlite", data) as store:
        key = await dev_key.ensure_dev_key(store, data)
    async with _worker(Config(data=str(data), server=Server(host=host))) as child, asyncio.timeout(SOON_S):
        async with aclosing(child.messages()) as messages:
            assert isinstance(await anext(messages), Ready)
    async with open_store("sqlite", data) as store:
        record = await key_records.find_by_hash(store, api_key.digest(key))
        assert record is not None
        assert (record.revoked is not None) == is_revoked
        assert (await dev_key.ensure_dev_key(store, data) == key) != is_revoked
