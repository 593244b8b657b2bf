"""Logos: a small file of its own, of the kind that its name says."""

import os
from pathlib import Path

from proxy.features.front.logo import LogoRefused, read_logo
from tests.tables import each_row

SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path fill="#123" d="M1 1h7v7z"/></svg>'
GOOD = b"\x89PNG\r\n\x1a\n and pixels"


@each_row(
    ("name", "content", "media"),
    [("logo.png", GOOD, "image/png"), ("my logo.svg", SVG.encode(), "image/svg+xml")],
)
def test_a_logo_is_served_as_it_is(tmp_path: Path, name: str, content: bytes, media: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert read_logo(tmp_path / name) == (media, content)


def test_what_is_no_small_file_of_its_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "logo.png").write_bytes(GOOD)
    (tmp_path / "link.png").symlink_to(tmp_path / "logo.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "large.png").write_bytes(GOOD + bytes(65 * 1024))
    (tmp_path / "drawn.png").write_text(SVG)
    (tmp_path / "photo.svg").write_bytes(GOOD)
    os.mkfifo(tmp_path / "pipe.png")
    said = {}
    for name in ("link.png", "folder.png", "large.png", "drawn.png", "photo.svg", "pipe.png", "none.png"):
        try:
            read_logo(tmp_path / name)
        except LogoRefused as refused:
            said[name] = str(refused)
    assert said == {
        "link.png": "it cannot be read, or is a link: Too many levels of symbolic links",
        "folder.png": "it is no file",
        "large.png": "it has more than 64 KiB",
        "drawn.png": "it is no PNG",
        "photo.svg": "it is a PNG",
        "pipe.png": "it is no file",
        "none.png": "it cannot be read, or is a link: No such file or directory",
    }
