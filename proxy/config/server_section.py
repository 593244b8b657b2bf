"""[server] alone, which is enough for a command that asks a running server."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from proxy.config.config_file import find_file, merge_environment, parse_file, read_server
from proxy.config.reader import Reader
from proxy.config.sections import Server


def server_of(path: Path | None, environ: Mapping[str, str] = os.environ) -> Server:
    """Return [server] alone, with the absolute path of its data folder. Secrets may be missing and other
    sections wrong: the running server has read them. Raises ConfigError."""
    file = find_file(path, environ)
    raw = {} if file is None else parse_file(file)
    merge_environment(raw, environ, ("server",))
    reader = Reader(str(file) if file else "defaults")
    server = read_server(reader, raw.get("server", {}))
    reader.raise_if_wrong()
    folder = file.parent if file else Path()
    return replace(server, data=str((folder / server.data).absolute()))
