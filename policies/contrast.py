"""The contrast of colours by WCAG 2.2, and the colours that are derived from an operator's own."""

from __future__ import annotations

from typing import NamedTuple

LEAST_CONTRAST = 4.5
"""The least contrast of a text to its background."""


class Scheme(NamedTuple):
    """The background of pages and of cards, and the colour that others are mixed with to be readable."""

    page: str
    card: str
    ink: str


LIGHT = Scheme("#f6f4ef", "#ffffff", "#000000")
DARK = Scheme("#121118", "#1b1a22", "#ffffff")


class Accent(NamedTuple):
    """An operator's colour, a pale background of it, and a colour for texts on that background."""

    colour: str
    soft: str
    deep: str


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours such as `#5636d6`, 1 to 21."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def least_contrast(colour: str, scheme: Scheme) -> float:
    """Return the contrast to that background of the scheme which is nearer to the colour."""
    return min(contrast(colour, scheme.page), contrast(colour, scheme.card))


def accent_of(colour: str, scheme: Scheme) -> Accent:
    soft = _mix(scheme.card, colour, 0.12)
    deep = next(
        mixed
        for tenths in range(11)
        if contrast(mixed := _mix(colour, scheme.ink, tenths / 10), soft) >= LEAST_CONTRAST
    )
    return Accent(colour, soft, deep)


def _channels(colour: str) -> list[int]:
    return [int(colour[at : at + 2], 16) for at in (1, 3, 5)]


def _luminance(colour: str) -> float:
    parts = [part / 255 for part in _channels(colour)]
    red, green, blue = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _mix(one: str, other: str, share: float) -> str:
    """Return a colour with this share of the other one."""
    mixed = [round(a + (b - a) * share) for a, b in zip(_channels(one), _channels(other), strict=True)]
    return "#" + "".join(f"{part:02x}" for part in mixed)
