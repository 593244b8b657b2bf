"""A host's process from its first message to its end, whatever threads a plugin leaves behind."""

import asyncio
from pathlib import Path

import pytest

from proxy.helpers.child import Child
from speech_engine.host.pipe import call_on_loop
from speech_engine.host.pipe_messages import (
    BeginHost,
    Broken,
)
from tests.tables import each_row

_THREAD = "import threading\nthreading.Thread(target=threading.Event().wait).start()\n"


@each_row(
    ("module", "broken"),
    [
        (_THREAD + "import no_such_library", Broken("ModuleNotFoundError: …", lasting=True)),
        (_THREAD + "raise SystemExit('no graphics card')", Broken("SystemExit: no graphics card")),
        ("held = bytearray(4 * 2**30)", Broken("MemoryError: while it loads, too")),
    ],
)
async def test_a_broken_host_ends_by_itself_though_a_thread_lives_on(
    module: str, broken: Broken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stuck_worker.py").write_text(module)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    child = await Child.start("speech_engine.host")
    child.send(BeginHost("stuck", "stuck_worker", b"{}", str(tmp_path / "s"), 1, memory_mb=2048))
    try:
        async with asyncio.timeout(20.0):
            said = [message async for message in child.messages()]
    finally:
        status = await child.wait_for_end()
    assert len(said) == 1
    assert isinstance(said[0], Broken)
    assert said[0].lasting == broken.lasting
    assert said[0].reason.partition(":")[0] == broken.reason.partition(":")[0]
    assert status == 1


async def test_a_message_to_a_loop_that_has_closed_is_lost_and_no_error() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    call_on_loop(loop, print, "nobody")
    said: asyncio.Queue[str] = asyncio.Queue()
    await asyncio.to_thread(call_on_loop, asyncio.get_running_loop(), said.put_nowait, "somebody")
    assert await said.get() == "somebody"
