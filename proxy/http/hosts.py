"""The names under which a server is reached: a check of the header `Host`.

Any web page can give its own name the address of this machine, and then read what the machine
answers: for the browser both are one site (DNS rebinding). The name in `Host` gives such a page away.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.types import Scope

from policies.network_addresses import is_address
from proxy.errors import UnknownHost

_PROBE_PATHS = ("/healthz", "/health", "/readyz")
"""Probes use the address, and these paths reveal nothing."""


class KnownHosts:
    """The names of `[server] hosts`. `*.example.org` stands for all names below example.org."""

    def __init__(self, names: Sequence[str]) -> None:
        lower = [name.lower() for name in names]
        self._names = frozenset(lower)
        self._suffixes = tuple(name.removeprefix("*") for name in lower if name.startswith("*."))

    def check_host(self, scope: Scope) -> None:
        """Raise UnknownHost if a request came under another name. The paths of probes allow any name."""
        if scope["path"] in _PROBE_PATHS:
            return
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if not hosts or not all(map(self.has_name, hosts)):
            raise UnknownHost()

    def has_name(self, host: str) -> bool:
        name = host_name(host)
        return name in self._names or name.endswith(self._suffixes)

    def has_or_is_local(self, host: str) -> bool:
        """Tell whether a page of a private network may be shown: addresses and short names are allowed, too.

        A foreign web page has a name with a dot.
        """
        name = host_name(host)
        return "." not in name or is_address(name.strip("[]")) or self.has_name(host)


def host_name(host: str) -> str:
    name = host.strip().lower()
    return name[: name.find("]") + 1] if name.startswith("[") else name.partition(":")[0]
