"""Reads and changes natural.toml for commands. The operator's own configuration is never written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from proxy.commands.tables import Line
from proxy.config import config_toml
from proxy.config.reader import ConfigError
from proxy.config.sections import Config
from proxy.errors import CommandRefused
from proxy.features.models import natural, natural_voices, natural_writer
from proxy.features.models.changes import hold_change_lock
from proxy.features.models.listing import GalleryModel
from proxy.features.models.model_use import engines_using
from proxy.features.models.natural import Layer
from proxy.file_store import data_folder
from proxy.hosts.environments.progress_line import say
from proxy.hosts.stored_models import ModelStore


def own_sections(config: Config, plugin: str) -> list[str]:
    """Return the operator's own engines of a plugin: natural.toml must not change their callers."""
    return [
        name
        for name, section in config.engines.items()
        if section.plugin == plugin and f"engines.{name}" not in config.natural
    ]


def use_model(config: Config, listed: GalleryModel, stands_in: bool = False) -> list[Line]:
    """Let an engine use a model from the server's next start, and return the messages about it. Return
    nothing if one uses it already, or if the operator has sections of that plugin."""
    users = engines_using(config, listed.name)
    users = [name for name in users if not stands_in or config.engines[name].stands_in]
    if users or own_sections(config, listed.plugin):
        return []
    with lock_layer(config):
        built_in = config_toml.built_in_models()
        layer, model = natural_voices.with_speech(read_layer(config), listed, built_in, stands_in)
        file = write_layer(config, layer)
    engine = model.partition("/")[0]
    does = "hears with" if listed.format_.hears else "speaks with" if listed.entry.languages else "has"
    return [
        Line(f"{file} has these lines now, beneath your own configuration:"),
        *map(Line, natural_writer.layer_as_toml(natural.Layer({engine: layer.engines[engine]})).splitlines()),
        Line(f"Restart the server: it then {does} {model}."),
    ]


def forget_model(config: Config, name: str) -> None:
    """Remove a deleted model from natural.toml. The caller holds the store's lock."""
    before = read_layer(config)
    layer = natural_voices.without_model(before, name, config_toml.built_in_models())
    if layer != before:
        write_layer(config, layer)


@contextmanager
def lock_layer(config: Config) -> Iterator[None]:
    """Hold the lock of the models, which is also that of natural.toml, while this file is read, changed and
    written."""
    store = ModelStore(config.data)
    with hold_change_lock(store, lambda: say("another command changes models; waiting for it")):
        with give_to_owner_after(config, store.folder):
            yield


def read_layer(config: Config) -> Layer:
    """Return the sections of natural.toml: none if there is no such file, or if it is invalid."""
    try:
        return read_checked(Path(config.data)) or natural.Layer()
    except ConfigError:
        return natural.Layer()  # the server ignores an invalid file


def read_checked(data: Path) -> Layer | None:
    """Return the sections of natural.toml that are in force. None: there is no file. Raise ConfigError if it
    is invalid."""
    return natural.read_layer(data, natural.pullable_plugins, lambda _section, _why: None)


def write_layer(config: Config, layer: Layer, remark: str = "") -> Path:
    """Write natural.toml. Raise CommandRefused."""
    try:
        with give_to_owner_after(config):
            return natural_writer.write_layer(Path(config.data), layer, remark)
    except OSError as error:
        raise CommandRefused(f"{config.data}: {natural.FILE} cannot be written: {error.strerror}") from None


@contextmanager
def give_to_owner_after(config: Config, part: Path | None = None) -> Iterator[None]:
    """After the block, give the files that root has made in the data folder, or in a part of it, to the
    folder's owner."""
    data = Path(config.data)
    try:
        yield
    finally:
        if data.exists():
            data_folder.give_to_owner(part or data, data.stat())
