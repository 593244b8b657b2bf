"""`[host] gateways`: a `voxgate host` tells gateways that it is there, where they cannot know it before."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import httpx2
import structlog

from proxy.config.clusters import HostSection

_EVERY_S = 5.0
_ANSWER_S = 4.0
_log = structlog.get_logger()


async def announce_host(section: HostSection, machine: str, engines: Sequence[str]) -> None:
    """Announce the host to all its gateways until cancelled."""
    if not section.gateways:
        return
    host = {"address": str(section.announced_address), "machine": machine, "engines": engines}
    headers = {"authorization": f"Bearer {section.api_key}"}
    async with httpx2.AsyncClient(timeout=_ANSWER_S, headers=headers) as http, asyncio.TaskGroup() as group:
        for gateway in section.gateways:
            group.create_task(_announce_to(http, gateway, host))


async def _announce_to(http: httpx2.AsyncClient, gateway: str, host: Mapping[str, object]) -> None:
    before = None
    while True:
        try:
            answer = await http.post(f"{gateway.rstrip('/')}/cluster/hosts", json=host)
            fault = "" if answer.is_success else f"{answer.status_code}: {answer.text[:300]}"
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            fault = type(error).__name__
        if fault and fault != before:
            _log.warning("host.announcement.failed", gateway=gateway, reason=fault)
        elif not fault and before != "":
            _log.info("host.announcement.complete", gateway=gateway)
        before = fault
        await asyncio.sleep(_EVERY_S)
