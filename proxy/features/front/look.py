"""The operator's colours and logo: a generated style sheet and a picture, each with its hash in its
address."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from policies.contrast import DARK, LEAST_CONTRAST, LIGHT, Accent, Scheme, accent_of, least_contrast
from proxy.features.front.logo import Logo, LogoRefused, read_logo
from proxy.features.front.markup import Html, html, joined
from proxy.features.front.section import FrontSection
from proxy.http.replies import Compressed

_CSS = "text/css; charset=utf-8"


class LookFault(NamedTuple):
    """A key of [front] that has no effect, and why."""

    key: str
    found: str
    do: str


class Look(NamedTuple):
    """The files by name, each with its hash. `faults` are keys with values that are not used."""

    files: dict[str, Compressed]
    faults: tuple[LookFault, ...]

    def picture_html(self) -> Html:
        pictures = self._pictures()
        return html("image", address=f"front/{pictures[0]}") if pictures else html("own_picture")

    def links_html(self) -> Html:
        """Return what the head of the page has of the look."""
        sheets = [html("look", address=f"front/{name}") for name in self.files if name.endswith(".css")]
        icons = [
            html("logo", media=self.files[name].media, address=f"front/{name}") for name in self._pictures()
        ]
        return joined([*sheets, *icons])

    def _pictures(self) -> list[str]:
        return [name for name in self.files if not name.endswith(".css")]


def read_look(section: FrontSection) -> Look:
    """Read the look of a section, and the logo from its file."""
    files: dict[str, Compressed] = {}
    faults = [*_faint_colours(section)]
    if sheet := _style_sheet(section, {fault.key for fault in faults}):
        _add_file(files, "css", _CSS, sheet.encode())
    if section.logo:
        try:
            logo = read_logo(Path(section.logo))
        except LogoRefused as error:
            faults.append(LookFault("logo", f"{Path(section.logo).name}: {error}", "take another file"))
        else:
            _add_file(files, _ending(logo), logo.media, logo.content)
    return Look(files, tuple(faults))


def _ending(logo: Logo) -> str:
    return "png" if logo.media == "image/png" else "svg"


def _add_file(files: dict[str, Compressed], ending: str, media: str, content: bytes) -> None:
    files[f"{hashlib.sha256(content).hexdigest()[:16]}.{ending}"] = Compressed.compress(media, content)


def _schemes(section: FrontSection) -> list[tuple[str, str, Scheme]]:
    return [("colour", section.colour, LIGHT), ("colour_dark", section.colour_dark, DARK)]


def _faint_colours(section: FrontSection) -> Iterator[LookFault]:
    for key, colour, scheme in _schemes(section):
        if colour and (contrast := least_contrast(colour, scheme)) < LEAST_CONTRAST:
            ground = "dark" if scheme is DARK else "light"
            found = (
                f"{colour} has a contrast of {contrast:.1f} on {ground} ground, so the page has our colour"
            )
            yield LookFault(
                key,
                found,
                f"take a {'lighter' if scheme is DARK else 'darker'} one: {LEAST_CONTRAST} is the least",
            )


def _style_sheet(section: FrontSection, faint: set[str]) -> str:
    rules = {
        key: _rule(accent_of(colour, scheme))
        for key, colour, scheme in _schemes(section)
        if colour and key not in faint
    }
    light, dark = rules.get("colour", ""), rules.get("colour_dark", "")
    # If only one colour is set, our own colour stays for the other scheme.
    parts = [f"@media (prefers-color-scheme: light) {{ {light} }}"] if light else []
    parts += [f"@media (prefers-color-scheme: dark) {{ {dark} }}"] if dark else []
    return "\n".join(parts)


def _rule(accent: Accent) -> str:
    return (
        f":root {{ --accent: {accent.colour}; --accent-soft: {accent.soft}; --accent-deep: {accent.deep}; }}"
    )
