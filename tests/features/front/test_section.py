"""[front]: what may be written there, and what `voxgate check` says of it."""

from pathlib import Path

import pytest

from proxy.config.reader import ConfigError
from proxy.feature_list import load_config
from proxy.features.front.look import read_look
from proxy.features.front.section import SECTION, FrontSection
from tests.tables import each_row

_LINK = '{ title = "a", url = "https://a.test" }, '


def section(tmp_path: Path, text: str) -> FrontSection:
    file = tmp_path / "config.toml"
    file.write_text(f"[front]\n{text}\n")
    return SECTION.of(load_config(file, {}))


@each_row(
    ("text", "key"),
    [
        (f'name = "{"a" * 41}"', "front.name"),
        (f'name = "{"a" * 10_000}"', "front.name"),
        ('name = "evil\\u202Eeman"', "front.name"),
        ('name = "  "', "front.name"),
        ('name = "two\\nlines"', "front.name"),
        ("name = 1", "front.name"),
        (f'lead = "{"a" * 161}"', "front.lead"),
        ('lead = "\\u2066hidden"', "front.lead: "),
        ('lead = { de = "Hallo" }', "front.lead.de"),
        ('lead = { en = "\\u202E" }', "front.lead.en"),
        (f'lead = {{ en = "{"a" * 161}" }}', "front.lead"),
        ("lead = 7", "front.lead"),
        ('logo = "../logo.png"', "front.logo"),
        ('logo = "/etc/passwd"', "front.logo"),
        ('logo = "logo.gif"', "front.logo"),
        ('logo = ".svg"', "front.logo"),
        ('colour = "red"', "front.colour"),
        ('colour = "#12345"', "front.colour"),
        ('colour_dark = "#12345g"', "front.colour_dark"),
        ('colour = "#123456; } body { display: none"', "front.colour"),
        ('links = [{ title = "a", url = "http://plain.test" }]', "front.links"),
        ('links = [{ title = "a", url = "javascript:alert(1)" }]', "front.links"),
        ('links = [{ title = "a", url = "https://a.test/\'>" }]', "front.links"),
        ('links = [{ title = "", url = "https://a.test" }]', "front.links"),
        ('links = [{ title = "\\u202E", url = "https://a.test" }]', "front.links"),
        (f"links = [{_LINK * 7}]", "front.links"),
        ("voices = [" + '"a", ' * 13 + "]", "front.voices"),
        ('voices = [""]', "front.voices"),
        ("folder = '/'", "front.folder"),
    ],
)
def test_what_is_wrong_names_its_key(text: str, key: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"{key}" if key.endswith(" ") else rf"{key}[\w.]*: "):
        section(tmp_path, text)


def test_what_is_right_is_read(tmp_path: Path) -> None:
    text = """
name = "<b>Lumen</b> & ไทย"
lead = { en = "Say it.", th = "พูด" }
logo = "my logo.svg"
colour = "#0050A0"
links = [{ title = "Impressum", url = "https://a.test/i?a=1&b=2" }, { title = "a", url = "mailto:a@a.test" }]
voices = ["kokoro/af_heart"]
"""
    found = section(tmp_path, text)
    assert [found.lead_in(tag) for tag in ("en", "th", "es")] == ["Say it.", "พูด", ""]
    assert found.logo == str(tmp_path / "my logo.svg")


@each_row(
    ("text", "faults"),
    [
        ('colour = "#5636d6"\ncolour_dark = "#ab99ff"', []),
        ('colour = "#ffe000"', ["colour"]),
        ('colour_dark = "#222222"', ["colour_dark"]),
        ('colour = "#5636d6"\nlogo = "none.png"', ["logo"]),
    ],
)
def test_a_colour_that_is_too_faint_is_told_and_ours_stays(
    text: str, faults: list[str], tmp_path: Path
) -> None:
    look = read_look(section(tmp_path, text))
    assert [fault.key for fault in look.faults] == faults
    sheet = b"".join(file.plain for file in look.files.values()).decode()
    assert [colour in sheet for colour in ("#ffe000", "#222222")] == [False, False]
    assert ("--accent: #5636d6" in sheet) is ("#5636d6" in text)
