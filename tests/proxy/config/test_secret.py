"""`env:NAME` and `file:PATH`: what they name, and a plain sentence where it is not there."""

from pathlib import Path

import pytest

from proxy.config.reader import ConfigError
from proxy.config.secret import resolve
from tests.tables import each_row


def test_a_name_is_replaced_by_what_it_names(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("  hunter2 \n")
    assert resolve("env:KEY", {"KEY": "hunter2\n"}, tmp_path) == "hunter2"
    assert resolve("file:key", {}, tmp_path) == "hunter2"
    assert resolve(f"file:{tmp_path / 'key'}", {}, Path("/nowhere")) == "hunter2"


@each_row("text", ["hunter2", "postgresql://u:p@db/x", "environment", "ENV:KEY", ""])
def test_anything_else_stands_for_itself(text: str, tmp_path: Path) -> None:
    assert resolve(text, {"KEY": "no"}, tmp_path) == text


@each_row(
    ("text", "fault"),
    [
        ("env:KEY", "env:KEY is not set"),
        ("env:", "env: is not set"),
        ("env:BLANK", "env:BLANK is empty"),
        ("file:none", "/none cannot be read: No such file"),
        ("file:", "cannot be read: Is a directory"),
        ("file:blank", "file:blank is empty"),
        ("file:binary", "/binary is not text"),
    ],
)
def test_a_missing_secret_is_said_by_name(text: str, fault: str, tmp_path: Path) -> None:
    (tmp_path / "blank").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xffhunter2")
    with pytest.raises(ConfigError) as caught:
        resolve(text, {"BLANK": " "}, tmp_path)
    assert fault in str(caught.value)
    assert "hunter2" not in str(caught.value)
