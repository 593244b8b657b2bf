"""Checks of the commands that start a server or a worker, before the start."""

from __future__ import annotations

from proxy.config.config_toml import Config, ConfigError
from proxy.config.sections import Server
from proxy.http.metrics_page import METRICS_ADVICE
from proxy.processes.runtime import open_listener


def check_worker_settings(config: Config) -> None:
    """Raise ConfigError if the configuration shares nothing with a server."""
    if config.storage.url == "sqlite":
        raise ConfigError("storage.url: a worker needs its server's PostgreSQL; SQLite is one server's own")
    if not (config.vault.folder or config.vault.store):
        raise ConfigError(
            "vault.folder: a worker keeps sound where its server finds it; name the folder that both share, "
            "or a bucket in vault.store"
        )


def try_ports(server: Server) -> None:
    """Open the ports of a server, and close them again. Raises CannotServe."""
    open_listener(server.host, server.port).close()
    if server.metrics:
        host, _, port = server.metrics.rpartition(":")
        open_listener(host, int(port), f"it is that of server.metrics; {METRICS_ADVICE}").close()
