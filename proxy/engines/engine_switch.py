"""Loads, unloads and restarts engines while the server runs, as an operator asks.

What starts anew speaks with the version of its model that is in use now. What crashed goes on with its own.
"""

from __future__ import annotations

import asyncio

import structlog

from proxy.engines.host import Host
from proxy.engines.hosts import Hosts
from speech_engine.host.pipe_messages import EngineAction

STOP_S = 2.0
"""The time that a host has to end what it does: by then, its work has ended or is to be broken off."""

_log = structlog.get_logger()


class EngineSwitch:
    """One action at a time: two operators may want different things."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts
        self._switching = asyncio.Lock()

    async def switch(self, engine: str, action: EngineAction, *, breaks_off: bool) -> str:
        """Do it. Return why not, or nothing. A loaded engine is not ready yet: that may take minutes."""
        hosts = self._hosts.of(engine)
        async with self._switching:
            if refusal := _refusal(engine, action, hosts, breaks_off=breaks_off):
                return refusal
            starts_anew = action == "restart" or not any(host.is_kept for host in hosts)
            # Before anything ends: an engine whose new model is unusable goes on with the old one.
            if starts_anew and (refusal := self._hosts.take_current_model(engine)):
                return refusal
            _log.info("engine.switch.started", engine=engine, action=action)
            if action != "load":
                await asyncio.gather(*(host.unload(STOP_S) for host in hosts))
            if action != "unload":
                for host in hosts:
                    if not host.is_kept:
                        self._hosts.keep(host)
        return ""


def _refusal(engine: str, action: EngineAction, hosts: list[Host], *, breaks_off: bool) -> str:
    if not hosts:
        return (
            f"{engine} has no host: it runs in the server, is set wrongly, or lacks its environment; "
            "voxgate check says which"
        )
    is_loaded = any(host.is_kept for host in hosts)
    if action == "load" and all(host.is_kept for host in hosts):
        return f"{engine} is loaded already, or is loading"
    if action == "unload" and not is_loaded:
        return f"{engine} is not loaded"
    jobs = sum(host.jobs for host in hosts)
    if action != "load" and jobs and not breaks_off:
        return f"{engine} is busy with {jobs} jobs; wait, or break them off with --now"
    return ""
