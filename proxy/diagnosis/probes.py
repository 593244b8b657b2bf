"""The probes of `voxgate check`: the languages of front-ends, and the engines of a running server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from proxy.config.config_toml import Config
from proxy.config.finding import ProbeResults
from proxy.engines.plugin_instances import PluginRequest, open_plugin
from proxy.engines.registry import Registry
from proxy.errors import CommandRefused
from proxy.file_store import data_folder
from speech_engine import Language, ModelInfo

_ANY_PITCH = {"lowest": -12.0, "highest": 12.0}
_NO_PITCH = {"lowest": 0.0, "highest": 0.0}


def run_probes(config: Config, registry: Registry) -> ProbeResults:
    """Return the answers of front-ends and of a running server. Without an answer, the results are empty."""
    # Imported here: the supervisor, which imports this module, needs no HTTP client.
    from proxy.processes.admin_client import ask_once

    front_ends = asyncio.run(_front_end_languages(config, registry))
    rows: list[Any] = []
    address = ""
    saved = frozenset[str]()
    if data_folder.is_held(Path(config.data)):
        try:
            rows = ask_once(config, "GET", "engines")["data"]
            server = ask_once(config, "GET", "server")
            address = f"{server['host']}:{server['port']}"
            voices = {step.voice for route in config.routes for step in route.post} - config.voices.keys()
            saved = frozenset(name for name in voices if "/" not in name and _is_saved(config, name))
        except CommandRefused:
            pass  # the server starts or stops, or another command has the folder
    # The file may be newer than the server, and name another plugin.
    plugins = {name: section.plugin for name, section in config.engines.items()}
    answered = [row for row in rows if plugins.get(row["name"]) == row["plugin"] and row["models"]]
    return ProbeResults(
        {row["name"]: _model_infos(row) for row in answered},
        _fixed_voices(config, registry)
        | {
            row["name"]: frozenset((*row["voices"], *row["unlisted_voices"]))
            for row in answered
            if row["unlisted_voices"] is not None
        },
        front_ends,
        address,
        saved,
    )


def _fixed_voices(config: Config, registry: Registry) -> dict[str, frozenset[str]]:
    """Return the voices of engines whose plugins know them without a running engine."""
    plugins = registry.plugins("engine")
    used_plugins = {name: plugins.get(section.plugin) for name, section in config.engines.items()}
    known = {name: plugin.voices for name, plugin in used_plugins.items() if plugin is not None}
    return {name: frozenset(voices) for name, voices in known.items() if voices is not None}


def _is_saved(config: Config, name: str) -> bool:
    from proxy.processes.admin_client import ask_once

    try:
        # The list of saved voices has those of all accounts. A name that no account has is refused here.
        answer = ask_once(config, "POST", "route/explain", {"input": "a", "language": "en", "voice": name})
    except CommandRefused:
        return False
    return all(part["voice"].startswith("voice_") for part in answer["parts"])


def _model_infos(row: Mapping[str, Any]) -> tuple[ModelInfo, ...]:
    """Return a server's models with the fields that the check reads. The other fields have placeholders."""
    # A server from before an update does not send these two.
    own_speech = row.get("own_speech", row["languages"])
    converting = row.get("converting", dict.fromkeys(row["languages"], _ANY_PITCH))
    return tuple(
        ModelInfo(
            id=name.partition("/")[2],
            languages=tuple(Language(**each) for each in languages),
            sample_rate_hz=0,
            shutdown_date=row["shutdown_dates"].get(name, ""),
            is_speech=name in own_speech,
            converts=name in converting,
            pitch=(pitch["lowest"], pitch["highest"]),
        )
        for name, languages in row["languages"].items()
        for pitch in [converting.get(name) or _NO_PITCH]
    )


async def _front_end_languages(config: Config, registry: Registry) -> dict[str, frozenset[str]]:
    """Return the languages of the front-ends in routes. They are not warmed, so no dictionary is read."""
    front_end_names = {route.front_end for route in config.routes if route.front_end}
    found = {}
    async with AsyncExitStack() as stack:
        for name in sorted(front_end_names & registry.plugins("front_end").keys()):
            request = PluginRequest("front_end", name, config.plugin("front_end", name), is_required=False)
            front_end = await open_plugin(stack, registry, request)
            if front_end is not None:
                found[name] = frozenset(getattr(front_end, "languages", ()))
    return found
