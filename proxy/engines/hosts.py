"""The supervisor's hosts: for every hosted engine its processes, their states, their sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec

from proxy.children import Child, Keeper
from proxy.engines.registry import HostedEngineSpec
from speech_engine.host.pipe import BeginHost, HostState, Message


class Hosts:
    """Starts every host at once; `on_state` hears each change, for the workers."""

    def __init__(
        self, specs: tuple[HostedEngineSpec, ...], runtime: Path, on_state: Callable[[HostState], None]
    ) -> None:
        self._runtime = runtime
        self._on_state = on_state
        self.states: dict[tuple[str, int], HostState] = {}
        self._keepers = [
            self._keeper(spec, process) for spec in specs for process in range(spec.section.processes)
        ]

    def __repr__(self) -> str:
        return (
            f"<Hosts {[f'{state.engine}.{state.process} {state.state}' for state in self.states.values()]}>"
        )

    async def run(self) -> None:
        async with asyncio.TaskGroup() as keeping:
            for keeper in self._keepers:
                keeping.create_task(keeper.run())

    async def stop(self, within_s: float) -> None:
        await asyncio.gather(*(keeper.stop(within_s) for keeper in self._keepers))

    def _keeper(self, spec: HostedEngineSpec, process: int) -> Keeper:
        name = f"{spec.name}.{process}"
        generations = iter(range(1, 1_000_000_000))
        address = ""

        async def begin() -> Child:
            nonlocal address
            # A name of its own for every life: a dying host may still be unlinking the last one.
            address = str(self._runtime / f"{name}.{next(generations)}.sock")
            child = await Child.start("speech_engine.host")
            settings = msgspec.json.encode(spec.section.settings)
            child.send(BeginHost(spec.name, spec.module, settings, address, spec.section.queue))
            return child

        def on_state(state: str, generation: int, reason: str) -> None:
            if state in ("restarting", "failed"):
                # A process that was killed could not unlink its own socket.
                Path(address).unlink(missing_ok=True)
            told = HostState(spec.name, process, generation, state, reason, address)
            self.states[(spec.name, process)] = told
            self._on_state(told)

        def on_message(_message: Message) -> None:
            """A host says nothing yet beyond Ready and Broken, which its keeper handles."""

        return Keeper(name, begin, on_state, on_message)
