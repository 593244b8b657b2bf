"""[server] secrets_file: its variables count, and what systemd would read otherwise, or others could read, is
refused."""

import os
from pathlib import Path

import pytest

from proxy.config.reader import ConfigError
from proxy.config.server_section import server_of
from proxy.feature_list import load_config
from proxy.features.payments.section import SECTION
from tests.tables import each_row

_CONFIG = """
[server]
secrets_file = "secrets"
[payments.stripe]
secret_key = "env:STRIPE_KEY"
"""
_SECRET = "sk-dont-show"


def _load(folder: Path, secrets: bytes, mode: int = 0o600, **environ: str) -> str:
    """The secret that was read, or the fault."""
    (folder / "config.toml").write_text(_CONFIG)
    (folder / "secrets").write_bytes(secrets)
    (folder / "secrets").chmod(mode)
    try:
        return SECTION.of(load_config(folder / "config.toml", environ)).stripe.secret_key
    except ConfigError as error:
        return str(error)


@each_row(
    "written",
    [
        f"STRIPE_KEY={_SECRET}",
        f"STRIPE_KEY={_SECRET}\r\n",
        f"# One.\n; Two.\n\n  STRIPE_KEY = {_SECRET}\n".replace(" = ", "="),
        f'STRIPE_KEY="{_SECRET}"\n',
        f"STRIPE_KEY='{_SECRET}'\nOTHER=\n",
    ],
)
def test_a_secret_of_the_file_counts(tmp_path: Path, written: str) -> None:
    assert _load(tmp_path, written.encode()) == _SECRET


def test_the_file_wins_and_is_read_again(tmp_path: Path) -> None:
    assert _load(tmp_path, b"VOXGATE_SERVER__DRAIN_S=7\nSTRIPE_KEY=x\n", STRIPE_KEY="old") == "x"
    config = load_config(tmp_path / "config.toml", {"VOXGATE_SERVER__DRAIN_S": "5"})
    assert config.server.drain_s == 7
    (tmp_path / "secrets").write_text("STRIPE_KEY=y\n")
    assert load_config(tmp_path / "config.toml", {"VOXGATE_SERVER__DRAIN_S": "5"}).server.drain_s == 5


@each_row(
    ("written", "mode", "said"),
    [
        (f"STRIPE_KEY={_SECRET}\n".encode(), 0o640, "is open to other users; run chmod 600"),
        (f"STRIPE_KEY={_SECRET}\n".encode(), 0o602, "is open to other users"),
        (f"A=1\nexport STRIPE_KEY={_SECRET}\n".encode(), 0o600, 'line 2: leave out "export "'),
        (f'STRIPE_KEY="{_SECRET}\n'.encode(), 0o600, "line 1: a quote"),
        (f"STRIPE_KEY={_SECRET}'\n".encode(), 0o600, "line 1: a quote"),
        (f"STRIPE_KEY={_SECRET}\\\nx\n".encode(), 0o600, "line 1: systemd reads a backslash differently"),
        (f"STRIPE_KEY={_SECRET}\nSTRIPE_KEY=2\n".encode(), 0o600, "line 2: STRIPE_KEY is there twice"),
        (f"{_SECRET}\n".encode(), 0o600, "line 1: must be NAME=value"),
        (f"STRIPE-KEY={_SECRET}\n".encode(), 0o600, "line 1: must be NAME=value"),
        (f"STRIPE_KEY={_SECRET}\0\n".encode(), 0o600, "line 1: must be NAME=value"),
        (b"STRIPE_KEY=\xff\n", 0o600, "is not text"),
        (b"#" * 1_000_000, 0o600, "has more than 65536 bytes"),
        (b"OTHER=1\n", 0o600, "add it to server.secrets_file"),
    ],
)
def test_a_file_that_is_wrong_is_named_without_its_secrets(
    tmp_path: Path, written: bytes, mode: int, said: str
) -> None:
    found = _load(tmp_path, written, mode)
    assert said in found
    assert _SECRET not in found
    assert "server.secrets_file" in found


def test_a_link_a_folder_and_nothing_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(_CONFIG)
    (tmp_path / "own").write_text("STRIPE_KEY=x\n")
    secrets = tmp_path / "secrets"

    def fault() -> str:
        with pytest.raises(ConfigError) as refused:
            load_config(tmp_path / "config.toml", {})
        return str(refused.value)

    assert "cannot be read: No such file or directory" in fault()
    secrets.symlink_to(tmp_path / "own")
    assert "is a link" in fault()
    secrets.unlink()
    secrets.mkdir()
    assert "is no plain file" in fault()
    secrets.rmdir()
    os.mkfifo(secrets, 0o600)
    assert "is no plain file" in fault()


def test_a_server_is_found_without_the_secrets(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(_CONFIG + "[storage]\nurl = 'env:NOT_HERE'\n")
    assert server_of(tmp_path / "config.toml", {}).data == str(tmp_path / "data")
    environ = {"VOXGATE_SERVER__DATA": "/var/lib/voxgate"}
    assert server_of(tmp_path / "config.toml", environ).data == "/var/lib/voxgate"
    (tmp_path / "config.toml").write_text("[server]\nport = 0.5\n")
    with pytest.raises(ConfigError, match=r"server\.port"):
        server_of(tmp_path / "config.toml", {})


@each_row(
    ("line", "advice"),
    [
        ("host = 127.0.0.1", "put quotes around the value of host"),
        ("host = voice.example.org", "put quotes around the value of host"),
        ("data = /var/lib/voxgate", "put quotes around the value of data"),
        ("cors_origins = [", ""),
        ("robot_fallback = True", ""),
    ],
)
def test_a_text_without_quotes_gets_advice(tmp_path: Path, line: str, advice: str) -> None:
    (tmp_path / "config.toml").write_text(f"[server]\n{line}\n")
    with pytest.raises(ConfigError, match="not valid TOML") as refused:
        load_config(tmp_path / "config.toml", {})
    assert str(refused.value).endswith(advice)
    assert ("put quotes" in str(refused.value)) is bool(advice)
