"""Every peer that the server calls, flooding it: each call ends soon in an error of that peer, and costs little."""

from __future__ import annotations

import os
import re
import select
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import msgspec
import pytest

from tests import forked
from tests.faults.peer_floods import FAULTS, PEERS, flooding
from tests.faults.peer_program import PeerReport

MOST_S = 10.0
MOST_GROWTH = 32 * 1024 * 1024
_LIMIT_S = 60.0
_SLOW = "one_byte_a_second"
ERRORS = {
    "bucket": "VaultAway: ",
    "elevenlabs": "EngineFailed: |EngineTimeout: ",
    "forward proxy": "EngineUnavailable: |EngineTimeout: ",
    "hub": "FetchFailed: ",
    "mail": r"SendOutcome\(result='again'",
    "mercadopago": "ProviderFailed: |_Late: ",
    "minimax": "EngineFailed: |EngineTimeout: ",
    "openai": "EngineFailed: |EngineTimeout: ",
    "realtime": "EngineFailed: |EngineTimeout: |SessionEnded: ",
    "redis": "LimitsUnavailable: ",
    "runpod": "EngineFailed: |EngineTimeout: ",
    "stripe": "ProviderFailed: |_Late: ",
    "webhook": r"TryOutcome\(status=(500|None), reason='[^']",
}
"""How the failures of each peer are named."""
HARMLESS = {("openai lists", "later_version"): "refreshed", ("bucket list", "later_version"): "listed 0"}
"""Answers that name nothing that we know: a provider's list without models, and a list of a bucket without objects."""
QUICK = {
    "bucket refuses": "huge_text",
    "elevenlabs speech": "large_list",
    "forward proxy": "endless_stream",
    "hub": "closed_half_way",
    "mail": "huge_list",
    "mercadopago": "later_version",
    "minimax whole": "huge_text",
    "openai lists": "large_list",
    "realtime": "undecodable",
    "redis": "huge_list",
    "runpod": "large_list",
    "stripe": "undecodable",
    "webhook": "many_messages",
}
"""A row of each peer, for every run."""


def reports(rows: Sequence[tuple[str, str]], how: str = "apart") -> Iterator[tuple[str, PeerReport]]:
    """Call the peers of some rows from one process, and yield the faults with what became of them."""
    with ExitStack() as stack:
        floods = [stack.enter_context(flooding(peer, fault)) for peer, fault in rows]
        words = [f"{peer}=127.0.0.1:{flood.port}" for (peer, _), flood in zip(rows, floods, strict=True)]
        process = forked.program("tests.faults.peer_program", how, *words)
        stack.callback(process.end)
        said, until = b"", time.monotonic() + _LIMIT_S * (1 + len(rows) / 10)
        while select.select([process.stdout], [], [], max(0.0, until - time.monotonic()))[0]:
            if not (part := os.read(process.stdout.fileno(), 1 << 16)):
                break
            said += part
    lines = [line for line in said.splitlines() if line.startswith(b'{"peer"')]
    assert len(lines) == len(rows), said[-4000:].decode(errors="replace")
    fault_of = dict(rows) if how == "together" else {}
    for (_, fault), line in zip(rows, lines, strict=True):
        report = msgspec.json.decode(line, type=PeerReport)
        yield fault_of.get(report.peer, fault), report


def faults_in(fault: str, report: PeerReport, *, is_alone: bool = True) -> list[str]:
    """Return what is wrong with a row."""
    named = next(error for peer, error in ERRORS.items() if report.peer.startswith(peer))
    wrong = []
    if not re.match(HARMLESS.get((report.peer, fault), named), report.error):
        wrong.append("its error is not named")
    if report.seconds > MOST_S:
        wrong.append("it took too long")
    if is_alone and report.growth > MOST_GROWTH:
        wrong.append("it took too much memory")
    if report.holds:
        wrong.append("it held the loop")
    return [f"{report.peer}, {fault}: {', '.join(wrong)}: {report}"] if wrong else []


def test_a_peer_that_floods_the_server_costs_little_and_is_named() -> None:
    rows = [*QUICK.items()]
    assert [wrong for fault, report in reports(rows) for wrong in faults_in(fault, report)] == []
    assert {next(name for name in ERRORS if peer.startswith(name)) for peer in QUICK} == {*ERRORS}


@pytest.mark.slow
@pytest.mark.parametrize("peer", PEERS)
def test_every_flood_of_a_peer_costs_little_and_is_named(peer: str) -> None:
    rows = [(peer, fault) for fault in FAULTS if fault != _SLOW]
    assert [wrong for fault, report in reports(rows) for wrong in faults_in(fault, report)] == []


@pytest.mark.slow
def test_a_peer_that_sends_one_byte_a_second_is_given_up_within_ten_seconds() -> None:
    rows = [(peer, _SLOW) for peer in PEERS]
    found = [*reports(rows, "together")]
    assert [wrong for fault, each in found for wrong in faults_in(fault, each, is_alone=False)] == []
    assert sum(each.growth for _, each in found) / len(found) <= MOST_GROWTH
