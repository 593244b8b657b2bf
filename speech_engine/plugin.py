"""What a plugin module hands over: `voxgate_register() -> tuple[Plugin, ...]`, one hook and no marker.

The registry recognises the hook by its name, so that an engine's environment never needs pluggy.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, Literal, Protocol, TypeVar

import msgspec

from speech_engine.http import NO_NETWORK, HttpClient

Kind = Literal["engine", "front_end", "detector", "mark", "runner"]

S = TypeVar("S", bound=msgspec.Struct)
"""The settings of a plugin."""


class Logger(Protocol):
    """Structured logging: an event named `noun.verb`, and fields. Never text, audio or secrets."""

    def debug(self, event: str, **fields: Any) -> Any: ...
    def info(self, event: str, **fields: Any) -> Any: ...
    def warning(self, event: str, **fields: Any) -> Any: ...


def _nobody_counts() -> None:
    """In the server's own process no heartbeat is kept."""


class Context(msgspec.Struct, frozen=True):
    """What the server lends to a plugin while it lives.

    `tick` is to be called, from any thread, whenever a unit of work is done: a host with work in hand
    that neither ticks nor yields an event for `tick_s` seconds counts as frozen, and is killed.
    `http` is for engines in the server, those of the cloud; a host has none.
    """

    log: Logger
    tick: Callable[[], None] = _nobody_counts
    http: HttpClient = NO_NETWORK


class Hosted(msgspec.Struct, frozen=True):
    """Stands in for `create` where the engine lives in its own process.

    `module` is the worker: it has a `voxgate_register` of its own, whose engine plugin is created inside
    the host. `hosted = false` in the engine's section runs it in the server where `in_process` allows it
    (for measuring; a crash then takes the server along).

    `packages` is what the worker needs beside voxgate, as pip reads it ("name>=1.0"). Where it lists any, the
    host runs in an environment of its own, made by `voxgate env build NAME`: the worker's top-level package,
    speech_engine, grpcio, msgspec and these. `constraints` is a file of pinned versions beside the worker
    module; `imports` are modules that must be importable there, tried when it is built.
    """

    module: str
    in_process: bool = False
    packages: tuple[str, ...] = ()
    constraints: str | None = None
    imports: tuple[str, ...] = ()


Create = Callable[[str, S, Context], AbstractAsyncContextManager[Any]]
"""(name, settings, context) → an async context manager of what the kind asks for, e.g. an `Engine`."""


class Missing(msgspec.Struct, frozen=True):
    """Something a plugin needs and this machine lacks: what, and what to do about it."""

    what: str
    do: str


def _nothing_missing(_settings: Any) -> tuple[Missing, ...]:
    return ()


class Plugin(msgspec.Struct, Generic[S], frozen=True, kw_only=True):
    """One thing that a module brings along. `settings` is a msgspec struct that forbids unknown fields;
    `create` and `missing` take such a struct.

    `missing` gives what the machine lacks for these settings: a library, a folder of data, a variable. It is
    asked by `voxgate doctor`, may look at files, starts nothing and tells no secret.
    """

    kind: Kind
    name: str
    settings: type[S]
    create: Create[S] | Hosted
    missing: Callable[[S], tuple[Missing, ...]] = _nothing_missing
