"""A neighbour beside accounts that make and cancel batches: `python -m bench.batches_beside [PLAN] [DIR]`

Four accounts of a plan (`free` without a name) make and cancel five batches of 20,000 lines each. A neighbour
speaks a sentence again and again: alone, then beside them. Printed are the neighbour's times, how many of its
answers were lost, and the statuses and times of the batches. `DIR` is another checkout.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from random import Random

import httpx2

from bench.neighbours import CONFIG, NEIGHBOUR, Client, Speech, Times, _ask_for, _part
from bench.shipped import shipped

ACCOUNTS, BATCHES, LINES = 4, 5, 20_000
QUIET_S = 6.0
_BODY = {"model": "tts-1", "voice": "alloy", "input": "Yes."}


class Account:
    """It makes batches of one file, and cancels each."""

    def __init__(self, client: Client) -> None:
        self.made, self.canceled, self.over = Times(), Times(), threading.Event()
        self._client = client
        lines = (
            {"custom_id": f"{number}", "method": "POST", "url": "/v1/audio/speech", "body": _BODY}
            for number in range(LINES)
        )
        data = b"\n".join(json.dumps(each).encode() for each in lines)
        form = _part('name="purpose"', b"batch") + _part('name="file"; filename="a.jsonl"', data)
        uploaded = client.send("POST", "/v1/files", form + b"--it--\r\n")
        assert uploaded.status == 200, uploaded
        self._file = json.loads(uploaded.body)["id"]

    def run(self) -> None:
        body = {"input_file_id": self._file, "endpoint": "/v1/audio/speech", "completion_window": "24h"}
        for _ in range(BATCHES):
            began = time.perf_counter()
            made = self._client.send("POST", "/v1/batches", dict(body))
            self.made.note(made.status, (time.perf_counter() - began) * 1000)
            if made.status == 200:
                began = time.perf_counter()
                canceled = self._client.send("POST", f"/v1/batches/{json.loads(made.body)['id']}/cancel")
                self.canceled.note(canceled.status, (time.perf_counter() - began) * 1000)
        self.over.set()


def main() -> None:
    plan = sys.argv[1] if len(sys.argv) > 1 else "free"
    checkout = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        config = folder / "config.toml"
        free = "" if plan == "unlimited" else "[plans.free]\nrpm = 10\nstreams = 1\nallowance = 600\n"
        config.write_text(CONFIG + free)
        _, port, _ = stack.enter_context(shipped(folder / "data", config, checkout))
        tenants = _Tenants(port, folder / "data")
        speech = Speech(Client(port, tenants.key("unlimited"), NEIGHBOUR), is_heavy=False)
        accounts = [Account(Client(port, tenants.key(plan), "127.0.0.2")) for _ in range(ACCOUNTS)]
        quiet, beside = Times(), Times()
        _ask_for(speech, Times(), 1.0)
        _ask_for(speech, quiet, QUIET_S)
        threads = [threading.Thread(target=each.run) for each in accounts]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads) or len(beside.ms) < 20:
            beside.note(*speech.ask(Random(0)))
            time.sleep(0.05)
    for name, times in (("alone", quiet), ("beside", beside)):
        print(f"{name:8} {_shown(times)}")
    for number, each in enumerate(accounts):
        print(f"account {number}: made {_shown(each.made)}; canceled {_shown(each.canceled)}")


class _Tenants:
    def __init__(self, port: int, folder: Path) -> None:
        address = str(Path(os.readlink(folder / "run")) / "control.sock")
        transport = httpx2.HTTPTransport(uds=address)
        self._control = httpx2.Client(transport=transport, base_url="http://control", timeout=60)
        self._made = 0

    def key(self, plan: str) -> str:
        self._made += 1
        account = f"tenant {self._made}"
        made = self._control.post("/admin/accounts", json={"name": account, "plan": plan})
        made.raise_for_status()
        answer = self._control.post("/admin/keys", json={"account": account}).raise_for_status()
        return str(answer.json()["key"])


def _shown(times: Times) -> str:
    if not times.ms:
        return f"none, {dict(times.statuses)}"
    p50 = statistics.median(times.ms)
    return f"p50 {p50:.0f} ms, p95 {times.p95_ms:.0f} ms, most {max(times.ms):.0f} ms, {dict(times.statuses)}"


if __name__ == "__main__":
    main()
