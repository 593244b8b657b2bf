"""Decides which values are trouble, and when an operator gets a mail about it.

An alert is sent once its trouble has lasted for a minute, and its end once the trouble is over for a minute.
So a restart, or trouble that comes and goes, sends one mail of each.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Literal, NamedTuple

import msgspec

from policies.tasks import SECOND_US

CONFIRMED_AFTER_US = 60 * SECOND_US
NEAR_PART, USED_PART = 0.8, 1.0
LEAST_FREE_PART = 0.05
MOST_UNCHECKED_PART, LEAST_PARTS = 0.2, 20

Kind = Literal[
    "engine_failed",
    "key_refused",
    "device_memory",
    "budget_near",
    "budget_used",
    "disk_full",
    "order_attention",
    "dispute",
    "sign_in_mails",
    "parts_unchecked",
    "test",
]
TITLES: dict[Kind, str] = {
    "engine_failed": "An engine has failed",
    "key_refused": "A provider refuses a key",
    "device_memory": "An engine lacks device memory",
    "budget_near": "80 % of a budget are used",
    "budget_used": "A budget is used up",
    "disk_full": "The disk is nearly full",
    "order_attention": "An order needs attention",
    "dispute": "A payment is disputed",
    "sign_in_mails": "Sign-in mails have reached their ceiling",
    "parts_unchecked": "Many sentences go out without being heard",
    "test": "A test",
}


class Trouble(NamedTuple):
    """Something that is wrong now. `name` is that of an engine, a disk or an order, and never of a person.
    `detail` has only figures and states. `machine` is "" for trouble that belongs to no single machine."""

    kind: Kind
    name: str
    detail: str = ""
    machine: str = ""

    @property
    def id(self) -> str:
        return f"{self.kind}:{self.name}{self.machine and f' on {self.machine}'}"


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Trouble that was first seen at `since`. `mailed` is when the mail was sent. `gone` is since when the
    trouble is over. Times are microseconds."""

    id: str
    kind: Kind
    name: str
    detail: str
    since: int
    mailed: int | None = None
    gone: int | None = None
    machine: str = ""

    @property
    def place(self) -> str:
        """The name, with the machine if there is one."""
        return f"{self.name} on {self.machine}" if self.machine else self.name


class AlertChange(NamedTuple):
    """What happens to an alert: `save` it as it is here, `send` it, send its `end`, or `drop` it unsent."""

    step: Literal["save", "send", "end", "drop"]
    alert: Alert


def engine_troubles(name: str, state: str, refused_keys: Collection[int]) -> Iterator[Trouble]:
    """Yield what is wrong with an engine. If it is `resting` and no key is refused, its provider does not
    answer."""
    if state == "failed" or (state == "resting" and not refused_keys):
        yield Trouble("engine_failed", name, f"state {state}")
    if state == "waiting":
        yield Trouble("device_memory", name, "it waits until others free some")
    for number in refused_keys:
        yield Trouble("key_refused", f"{name}, key {number}")


def budget_troubles(engine: str, period: str, spent_usd: float, budget_usd: float) -> Iterator[Trouble]:
    """Yield that a budget is nearly used, and that it is used up. A budget that is used up yields both."""
    part = spent_usd / budget_usd if budget_usd else 1.0
    detail = f"{spent_usd:.2f} of {budget_usd:.2f} USD"
    if part >= NEAR_PART:
        yield Trouble("budget_near", f"{engine}, {period}", detail)
    if part >= USED_PART:
        yield Trouble("budget_used", f"{engine}, {period}", detail)


def disk_troubles(free_bytes: int, total_bytes: int) -> Iterator[Trouble]:
    if total_bytes and free_bytes / total_bytes < LEAST_FREE_PART:
        yield Trouble("disk_full", "data", f"{free_bytes / 1e9:.2f} of {total_bytes / 1e9:.2f} GB free")


def unchecked_troubles(unchecked: int, parts: int) -> Iterator[Trouble]:
    """Yield trouble if over a fifth of the parts were not heard: the recogniser is too slow or broken."""
    if parts >= LEAST_PARTS and unchecked > MOST_UNCHECKED_PART * parts:
        yield Trouble("parts_unchecked", "ears", f"{100 * unchecked / parts:.0f} % of {parts} in ten minutes")


def alert_changes(
    known: Iterable[Alert], found: Iterable[Trouble], now: int, starting: Collection[str] = ()
) -> Iterator[AlertChange]:
    """Yield the changes of the known alerts, if this trouble is found at `now`. Alerts of `starting` engines
    stay."""
    there = {trouble.id: trouble for trouble in found}
    for alert in known:
        trouble = there.pop(alert.id, None)
        if trouble is None:
            # The name of trouble with an engine begins with the engine's: "piper", "openai, key 1".
            if alert.name.partition(", ")[0] not in starting:
                yield from _changes_without_trouble(alert, now)
        elif alert.mailed is None and now - alert.since >= CONFIRMED_AFTER_US:
            yield AlertChange("send", _changed(alert, detail=trouble.detail, mailed=now))
        elif alert.gone is not None:
            yield AlertChange("save", _changed(alert, gone=None))
    for trouble in there.values():
        yield AlertChange("save", Alert(id=trouble.id, since=now, **trouble._asdict()))


def _changes_without_trouble(alert: Alert, now: int) -> Iterator[AlertChange]:
    if alert.mailed is None:
        yield AlertChange("drop", alert)
    elif alert.gone is None:
        yield AlertChange("save", _changed(alert, gone=now))
    elif now - alert.gone >= CONFIRMED_AFTER_US:
        yield AlertChange("end", alert)


def _changed(alert: Alert, **values: object) -> Alert:
    return msgspec.structs.replace(alert, **values)
