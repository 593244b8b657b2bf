"""Finds the configured engines that train voices, and their trainers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from io import BytesIO

from proxy.config.config_toml import Config
from proxy.config.secret import environ_for_hosts
from proxy.engines.engine_list import Engines
from proxy.engines.registry import HostedEngineSpec, Registry
from proxy.engines.remote_engine import RemoteEngine
from proxy.features.jobs.kinds.training.process import TrainingBroken, TrainingProcess
from proxy.features.jobs.section import SECTION
from proxy.hosts import stored_models
from proxy.hosts.memory_reservations import MemoryReservations
from speech_engine import Hosted, ModelInfo
from speech_engine.model_files import UnusableModel
from speech_engine.trained_files import TrainedFiles


class TrainingEngines:
    """The engines that train voices. `reservations` has the reservations of the devices' memory."""

    def __init__(
        self, registry: Registry, engines: Engines, config: Config, reservations: MemoryReservations
    ) -> None:
        self.reservations = reservations
        self._registry = registry
        self._engines = engines
        self._config = config

    def revise(self, config: Config) -> None:
        self._config = config

    def trained_model_info(self, engine: str) -> ModelInfo | None:
        """Return the model for which an engine trains voices. None: it trains none, or is not up."""
        infos = self._engines[engine].models() if engine in self._engines else ()
        return next((info for info in infos if info.trains and self.format_of(engine)), None)

    def format_of(self, engine: str) -> str:
        section = self._config.engines.get(engine)
        plugin = None if section is None else self._registry.plugins("engine").get(section.plugin)
        return "" if plugin is None or plugin.trained_format is None else plugin.trained_format.name

    def remote_engine(self, engine: str) -> RemoteEngine | None:
        """Return an engine that trains on rented machines. None: it trains here, or not at all."""
        return next((each for each in self._engines.remote_engines() if each.name == engine), None)

    def find_trainer(self, engine: str) -> TrainingProcess | None:
        """Return the trainer of an engine, by the present configuration. None: it has none on this machine.
        Raises TrainingBroken."""
        section = self._config.engines.get(engine)
        plugin = None if section is None else self._registry.plugins("engine").get(section.plugin)
        if section is None or section.runner or plugin is None:
            return None
        hosted = plugin.create
        if not isinstance(hosted, Hosted) or not hosted.trainer:
            return None
        try:
            section, models = stored_models.with_models(section, plugin.model_format, self._config.data)
        except UnusableModel as fault:
            raise TrainingBroken(str(fault)) from None
        spec = HostedEngineSpec(engine, hosted, section, models, plugin.model_format, self._config.data)
        environ = environ_for_hosts(os.environ, self._config.secrets)
        return TrainingProcess(spec, environ, SECTION.of(self._config).training_gb, self.reservations)

    @contextmanager
    def protect_models(self, engine: HostedEngineSpec) -> Iterator[None]:
        """Prevent the removal of an engine's models until the block ends. Raises TrainingBroken."""
        with ExitStack() as stack:
            try:
                for model in engine.models:
                    stack.enter_context(stored_models.hold(model.folder))
            except OSError:
                raise TrainingBroken("the engine's model has just been removed") from None
            yield

    async def check_trained_file(self, engine: str, file: bytes) -> None:
        """Check the file of a trained voice like an imported file. Raises TrainingBroken."""
        plugin = self._registry.plugins("engine")[self._config.engines[engine].plugin]
        if plugin.trained_format is not None:
            try:
                await asyncio.to_thread(_check_file, plugin.trained_format.module, file)
            except UnusableModel as fault:
                raise TrainingBroken(f"the voice that it gave: {fault}") from None


def _check_file(module: str, file: bytes) -> None:
    files: TrainedFiles = import_module(module).FILES
    files.check(BytesIO(file), len(file))
