"""`voxgate host --join URL --try`: links that wait for some seconds, and what became of them."""

from __future__ import annotations

import asyncio
import tempfile

from proxy import __version__
from proxy.config.clusters import HostSection
from proxy.errors import CannotServe
from proxy.hosts.links.dialler import Dialler
from proxy.hosts.links.link_messages import BeginDialling
from proxy.storage.rows import new_id

TRIAL_S = 20.0
"""Proxies that close what is silent mostly do so within this time, or after a minute."""


def try_links(section: HostSection, engines: tuple[str, ...]) -> list[str]:
    """Return a sentence for each gateway. Raises CannotServe for one at which no link can wait."""
    with tempfile.TemporaryDirectory() as folder:
        begin = BeginDialling(
            section.gateways, section.api_key, new_id("mch"), __version__, engines, folder, section.authority
        )
        return asyncio.run(_try_all(begin))


async def _try_all(begin: BeginDialling) -> list[str]:
    return [*await asyncio.gather(*(_try_gateway(url, begin) for url in begin.gateways))]


async def _try_gateway(url: str, begin: BeginDialling) -> str:
    dialler = Dialler(url, begin)
    running = asyncio.create_task(dialler.run_dialler())
    await asyncio.wait([running], timeout=TRIAL_S)
    met, of = dialler.count_met(), dialler.gateways
    running.cancel()
    dialler.close_links()
    await asyncio.wait([running])
    if dialler.fault:
        raise CannotServe(f"{url}: {dialler.fault}")
    if not dialler.asked:
        raise CannotServe(f"{url}: links wait, but the gateway asks for none: is this cluster in its file?")
    if dialler.cut_off:
        raise CannotServe(f"{url}: a proxy on the way has closed {dialler.cut_off} links that waited")
    return f"{url}: {met} of {of} gateways were met, and links waited for {TRIAL_S:g} s."
