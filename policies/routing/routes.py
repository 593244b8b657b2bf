"""The routes of a configuration: which of them are meant for a language, the most exact one first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from policies.language import base
from policies.routing.values import Route


class Routes:
    def __init__(self, routes: Sequence[Route] = ()) -> None:
        self._by_tag = {route.language.lower(): route for route in routes}
        self.all = tuple(routes)

    def __repr__(self) -> str:
        return f"<Routes {', '.join(route.language for route in self.all) or 'none'}>"

    def __iter__(self) -> Iterator[Route]:
        return iter(self.all)

    def of(self, tag: str) -> list[Route]:
        """The tag's own, then that of its base language: `en-NG` is spoken by the route of `en` where it has
        none that can be used."""
        wanted = tag.lower()
        tags = (wanted, base(wanted)) if "-" in wanted else (wanted,)
        return [self._by_tag[each] for each in tags if each in self._by_tag]
