"""Two recordings of a topic compared: each difference on a line, with the step and the place in its value."""

import json
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

_TOLERANCES = {"loudness_db": 0.6, "samples_about": 1300}
"""Encoders of lossy formats differ by a frame of padding and by a little loudness between processors.
Voices of a dialogue are brought to one loudness by what is known of them, which depends on earlier topics."""


def differences(topic: str, was: list[dict[str, Any]], now: list[dict[str, Any]]) -> list[str]:
    """`topic / step: place: was …, is …`, and nothing where the two say the same."""
    before, after = ({step["name"]: step for step in steps} for steps in (was, now))
    lines = []
    for name in [*before, *(name for name in after if name not in before)]:
        for place, old, new in _places(before.get(name, _NONE), after.get(name, _NONE), ""):
            lines.append(f"{topic} / {name}: {place or 'the step'}: was {_short(old)}, is {_short(new)}")
    return lines


class _Missing:
    def __repr__(self) -> str:
        return "missing"


_NONE = _Missing()


def _places(old: Any, new: Any, place: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield from _places(old.get(key, _NONE), new.get(key, _NONE), f"{place}.{key}".lstrip("."))
    elif isinstance(old, list) and isinstance(new, list):
        for index, (one, other) in enumerate(zip_longest(old, new, fillvalue=_NONE)):
            yield from _places(one, other, f"{place}.{index}")
    elif not _is_same(old, new, place.rpartition(".")[2]):
        yield place, old, new


def _is_same(old: Any, new: Any, field: str) -> bool:
    if field in _TOLERANCES and isinstance(old, (int, float)) and isinstance(new, (int, float)):
        return abs(old - new) <= _TOLERANCES[field]
    return type(old) is type(new) and bool(old == new)


def _short(value: Any) -> str:
    if isinstance(value, _Missing):
        return repr(value)
    shown = json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= 300 else f"{shown[:300]}…"
