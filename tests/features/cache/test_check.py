"""`voxgate check`: what it says of the cache."""

from pathlib import Path

from tests.proxy.config.files import load
from tests.proxy.diagnosis.test_text_check import findings
from tests.tables import each_row


@each_row(
    ("lines", "name", "note", "is_warning"),
    [
        ("", "on request", "up to 1024 MB, for 30 day(s)", False),
        ("[cache]\non = true\nmegabytes = 5\ndays = 0.5", "on", "up to 5 MB, for 0.5 day(s)", False),
        ("[cache]\nmegabytes = 0", "none", "megabytes = 0: nothing is kept", False),
        (
            "[cache]\non = true\nmegabytes = 0",
            "none",
            "megabytes = 0: nothing is kept, though on = true asks for it",
            True,
        ),
        (
            "[cache]\nmegabytes = 0\n[plans.a]\ncache = true\n[plans.b]",
            "none",
            "megabytes = 0: nothing is kept, though plans ask for it: a",
            True,
        ),
    ],
)
def test_the_cache_has_a_line(tmp_path: Path, lines: str, name: str, note: str, is_warning: bool) -> None:
    (found,) = findings(load(tmp_path, lines), "cache").values()
    assert (found.name, found.found, found.verdict) == (name, note, "note" if is_warning else "ok")
