"""`[host] gateways`: a `voxgate host` tells these gateways, again and again, that it is there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import httpx2
import structlog

from proxy.config.clusters import HostSection

_REPEAT_S = 5.0
_ANSWER_TIMEOUT_S = 4.0
_log = structlog.get_logger()


async def announce_host(section: HostSection, machine: str, engines: Sequence[str]) -> None:
    """Announce the host to all its gateways until cancelled."""
    if not section.gateways:
        return
    host = {"address": str(section.announced_address), "machine": machine, "engines": engines}
    headers = {"authorization": f"Bearer {section.api_key}"}
    async with (
        httpx2.AsyncClient(timeout=_ANSWER_TIMEOUT_S, headers=headers) as http,
        asyncio.TaskGroup() as group,
    ):
        for gateway in section.gateways:
            group.create_task(_announce_to(http, gateway, host))


async def _announce_to(http: httpx2.AsyncClient, gateway: str, host: Mapping[str, object]) -> None:
    last_fault = None  # "" after a success
    while True:
        try:
            answer = await http.post(f"{gateway.rstrip('/')}/cluster/hosts", json=host)
            fault = "" if answer.is_success else f"{answer.status_code}: {answer.text[:300]}"
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            fault = type(error).__name__
        if fault and fault != last_fault:
            _log.warning("host.announcement.failed", gateway=gateway, reason=fault)
        elif not fault and last_fault != "":
            _log.info("host.announcement.complete", gateway=gateway)
        last_fault = fault
        await asyncio.sleep(_REPEAT_S)
