"""A worker that has an engine `far` at a runner, and `here` for the same voice."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from proxy.features.jobs.remote.sweeping import Sweeping
from speech_engine import Plugin
from speech_engine.plugin import Kind
from tests.features.jobs.remote.rented import Rented, rented
from tests.proxy.api.inside import Inside, inside
from tests.waiting import soon

Plugins = dict[tuple[Kind, str], Plugin[Any]]

CONFIG = """
[server]
default_model = "far"
{server}
[storage]
url = "{url}"
[engines.far]
plugin = "tone"
runner = "rented"
budget_usd_day = 100
{more}
[engines.here]
plugin = "tone"
hosted = false
[runners.rented]
[models]
far = ["far/standard"]
both = ["far/standard", "here/standard"]
[voices.alloy]
far = "tone"
here = "tone"
[plans.metered]
allowance = 1000000
streams = 1
prices.speech = {{ credits = 1, per = "character" }}
[plans.local]
local_only = true
"""


@asynccontextmanager
async def far(
    folder: Path,
    url: str = "sqlite",
    plan: str = "metered",
    more: str = "",
    public_url: str = "",
    machines: Rented | None = None,
    **options: Any,
) -> AsyncIterator[tuple[Inside, Rented]]:
    """Open a worker, and wait until it is known what the engine has."""
    async with rented() as own:
        at = machines or own
        text = CONFIG.format(url=url, more=more, server=f'public_url = "{public_url}"')
        plugins: Plugins = {("runner", "rented"): at.plugin}
        async with inside(folder, text, plan=plan, more=plugins, **options) as server:
            await introduced(server)
            yield server, at
        assert at.doubles == []


async def introduced(server: Inside) -> None:
    await soon(lambda: server.worker.engines["far"].state == "ready")


def sweeping(server: Inside) -> Sweeping:
    owners = [getattr(task, "__self__", None) for task in server.worker.tasks_of_each_server]
    (found,) = [owner for owner in owners if isinstance(owner, Sweeping)]
    return found


async def runs(server: Inside) -> dict[str, str]:
    """Return the states of all runs of steps."""
    rows = await server.worker.store.read("SELECT id, state FROM remote_runs WHERE step <> '' ORDER BY id")
    return {row["id"]: row["state"] for row in rows}
