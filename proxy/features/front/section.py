"""[front]: the name, the look and the links of the operator's service."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from proxy.api.front import LANGUAGES
from proxy.config.reader import Reader, Section

_LOGO = 'the name of a PNG or SVG file beside config.toml, or ""'
_LOGO_NAME = re.compile(r"[\w-][\w. -]{0,99}\.(png|svg)")
_PRINTABLE = "printable characters, without marks of direction"
_Name = Annotated[str, Meta(max_length=40, description='a text of up to 40 characters, or ""')]
_Lead = Annotated[str, Meta(max_length=160, description="a text of up to 160 characters")]
_Colour = Annotated[
    str, Meta(pattern=r"^\Z|^#[0-9a-fA-F]{6}\Z", description='a colour, "#5636d6", or "" for ours')
]
_Url = Annotated[
    str,
    Meta(
        pattern=r"^https://[^\s\"'<>]+\Z|^mailto:[^\s\"'<>]+@[^\s\"'<>]+\Z",
        max_length=500,
        description='"https://…" or "mailto:…"',
    ),
]
_Title = Annotated[str, Meta(min_length=1, max_length=40, description="a text of 1 to 40 characters")]
_Voices = Annotated[
    tuple[Annotated[str, Meta(min_length=1, max_length=200)], ...],
    Meta(max_length=12, description="a list of up to 12 ids of voices"),
]


class FrontLink(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: _Title
    url: _Url


class FrontSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[front]: the `name` of the service, also in titles and mails. The `lead` is the sentence below the
    heading: a text, or a table of texts by language. `logo` is a PNG or SVG file beside config.toml.
    `colour` is that of buttons and links, `colour_dark` that on dark ground. `voices` are shown first."""

    name: _Name = ""
    lead: Annotated[
        _Lead | dict[str, _Lead],
        Meta(description='a text of up to 160 characters, or a table of such texts, { en = "…", th = "…" }'),
    ] = ""
    logo: Annotated[str, Meta(description=_LOGO)] = ""
    colour: _Colour = ""
    colour_dark: _Colour = ""
    links: Annotated[
        tuple[FrontLink, ...],
        Meta(max_length=6, description='a list of up to 6 of { title = "…", url = "…" }'),
    ] = ()
    voices: _Voices = ()

    def lead_in(self, language: str) -> str:
        return self.lead if isinstance(self.lead, str) else self.lead.get(language, "")


def _read(reader: Reader, value: object, _environ: Mapping[str, str], folder: Path) -> FrontSection:
    section = reader.section(FrontSection, value, "front") or FrontSection()
    for key, text in _texts(section):
        if not text.isprintable() or (text and not text.strip()):
            reader.fault(f"front.{key}", f"must be {_PRINTABLE}; got {text[:40]!r}")
    if not isinstance(section.lead, str):
        for tag in section.lead.keys() - {*LANGUAGES}:
            reader.fault(f"front.lead.{tag}", f"must be one of the languages {', '.join(LANGUAGES)}")
    if not section.logo:
        return section
    if not _LOGO_NAME.fullmatch(section.logo):
        reader.fault("front.logo", f"must be {_LOGO}; got {section.logo[:40]!r}")
    return msgspec.structs.replace(section, logo=str((folder / section.logo).absolute()))


def _texts(section: FrontSection) -> list[tuple[str, Any]]:
    lead = section.lead
    leads = [("lead", lead)] if isinstance(lead, str) else [(f"lead.{tag}", lead[tag]) for tag in lead]
    return [("name", section.name), *leads, *(("links.title", link.title) for link in section.links)]


SECTION = Section("front", FrontSection, _read)
