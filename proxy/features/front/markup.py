"""The one place that writes HTML of texts. What is not HTML already is escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from html import escape
from pathlib import Path

_PARTS = re.compile(r"^<!-- (\w+) -->\n", re.MULTILINE)
_PLACES = re.compile(r"{(\w+)}")


class Html(str):
    """A text that is HTML."""

    __slots__ = ()


@cache
def _templates() -> Mapping[str, str]:
    _, *parts = _PARTS.split(Path(__file__).with_name("front.html").read_text())
    return dict(zip(parts[::2], parts[1::2], strict=True))


def html(part: str, **values: object) -> Html:
    """Return a part of front.html with a value in each of its places: {name}."""
    return Html(_PLACES.sub(lambda place: escaped(values[place[1]]), _templates()[part]))


def escaped(value: object) -> Html:
    return value if isinstance(value, Html) else Html(escape(str(value)))


def joined(parts: Iterable[Html]) -> Html:
    return Html("".join(parts))
