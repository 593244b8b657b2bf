"""[upstream]: a proxy and certificates that are there, named without telling a password."""

import shutil
from pathlib import Path

from proxy.config.sections import Upstream
from tests.proxy.config.files import faults, load
from tests.proxy.engines.test_upstream_http import CERTIFICATE
from tests.tables import each_row

PROXY = "http://ada:hunter2@gate.example:3128"


def test_left_out_it_is_what_the_environment_and_the_system_say(tmp_path: Path) -> None:
    assert load(tmp_path, "").upstream == Upstream("", "", 100)


def test_a_proxy_may_be_named_outside_the_file(tmp_path: Path) -> None:
    (tmp_path / "gate").write_text(f"{PROXY}\n")
    assert load(tmp_path, f"[upstream]\nproxy = '{PROXY}'").upstream.proxy == PROXY
    assert load(tmp_path, "[upstream]\nproxy = 'file:gate'").upstream.proxy == PROXY
    assert load(tmp_path, "", VOXGATE_UPSTREAM__PROXY=PROXY).upstream.proxy == PROXY
    loaded = load(tmp_path, "[upstream]\nproxy = 'env:GATE'", GATE=PROXY)
    assert loaded.upstream.proxy == PROXY
    assert "hunter2" not in repr(loaded)
    assert "hunter2" not in repr(loaded.upstream)


def test_certificates_lie_beside_the_file(tmp_path: Path) -> None:
    shutil.copy(CERTIFICATE, tmp_path / "own.pem")
    assert load(tmp_path, "[upstream]\nca_file = 'own.pem'").upstream.ca_file == str(tmp_path / "own.pem")


@each_row(
    ("line", "fault"),
    [
        ("proxy = 'gate.hunter2:3128'", "upstream.proxy: must be an address"),
        ("proxy = 'socks5://hunter2@gate'", "upstream.proxy: must be an address"),
        ("proxy = 'http://hunter2@'", "upstream.proxy: must be an address"),
        ("proxy = 'http://hunter2@gate:99999'", "upstream.proxy: must be an address"),
        ("proxy = 'http://[hunter2'", "upstream.proxy: must be an address"),
        ("proxy = 'env:GATE'", "upstream.proxy: env:GATE is not set"),
        ("ca_file = 'nowhere.pem'", "upstream.ca_file: 'nowhere.pem' cannot be read: No such file"),
        ("ca_file = 'config.toml'", "upstream.ca_file: 'config.toml' has no certificate"),
        ("connections = 0", "upstream.connections: must be a number of connections"),
        ("prox = ''", "upstream.prox: no such key; did you mean proxy?"),
    ],
)
def test_a_fault_is_told_at_once_and_without_the_password(tmp_path: Path, line: str, fault: str) -> None:
    (message,) = faults(tmp_path, f"[upstream]\n{line}")
    assert message.startswith(fault)
    assert "hunter2" not in message
