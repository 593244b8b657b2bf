"""Commands beside an installed service: they find its configuration and its data folder by its unit."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.cli.main import metrics_beside
from proxy.cli.options import NAMED_BY
from tests.proxy.api.inside import TONE
from tests.proxy.cli.test_main import Run, folder, refused, run
from tests.tables import each_row

__all__ = ["folder", "run"]

_UNIT = """[Service]
User=voxgate
ExecStart=/opt/voxgate/.venv/bin/voxgate serve
Environment=VOXGATE_CONFIG={config}
Environment="VOXGATE_SERVER__DATA={data}" XDG_RUNTIME_DIR=/run/voxgate
EnvironmentFile=-{secrets}
# Environment=VOXGATE_SERVER__PORT=1
"""


@pytest.fixture
def service(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Install a service, and go to an empty folder. What a command sets is undone."""
    etc, away = folder / "etc", folder / "away"
    etc.mkdir()
    away.mkdir()
    (etc / "config.toml").write_text(TONE)
    (etc / "secrets").write_text('# The key.\nPROVIDER_KEY="secret"\n')
    values = {"config": etc / "config.toml", "data": folder / "var", "secrets": etc / "secrets"}
    unit = etc / "voxgate.service"
    unit.write_text(_UNIT.format(**values))
    monkeypatch.chdir(away)
    before = dict(os.environ)
    os.environ.pop("VOXGATE_CONFIG")
    os.environ.pop("XDG_RUNTIME_DIR", None)
    os.environ[NAMED_BY] = str(unit)
    try:
        yield unit
    finally:
        os.environ.clear()
        os.environ.update(before)


def test_a_command_uses_the_folder_of_the_service(run: Run, service: Path, folder: Path) -> None:
    run("accounts", "create", "ada")
    assert (folder / "var" / "voxgate.db").exists()
    assert [*Path.cwd().iterdir()] == []
    assert (os.environ["XDG_RUNTIME_DIR"], os.environ["PROVIDER_KEY"]) == ("/run/voxgate", "secret")
    assert "VOXGATE_SERVER__PORT" not in os.environ


def test_a_variable_of_the_person_wins(run: Run, service: Path, folder: Path) -> None:
    os.environ["VOXGATE_SERVER__DATA"] = str(folder / "mine")
    run("accounts", "create", "ada")
    assert (folder / "mine").exists()
    assert not (folder / "var").exists()


def test_a_setting_of_the_service_may_go_on_in_the_next_line(run: Run, service: Path, folder: Path) -> None:
    lines = f'Environment="ONE=1" \\\n# One more.\n  "VOXGATE_SERVER__DATA={folder / "other"}" \\\n  TWO=2\n'
    service.write_text(service.read_text() + lines)
    (service.parent / "secrets").write_text("; The key.\nPROVIDER_KEY=sec\\\nret\n")
    run("accounts", "create", "ada")
    assert (folder / "other").exists()
    assert [os.environ[name] for name in ("ONE", "TWO", "PROVIDER_KEY")] == ["1", "2", "secret"]


def test_a_quote_of_the_service_without_an_end_is_named(run: Run, service: Path) -> None:
    service.write_text(service.read_text() + "Environment=MOTTO=it's\n")
    assert "No closing quotation in a line Environment=" in refused(run("accounts", "list"))
    other = Path.cwd() / "config.toml"
    other.write_text(TONE)
    assert run("accounts", "list").status == 0


def test_the_config_file_of_the_service_may_be_named(run: Run, service: Path, folder: Path) -> None:
    run("accounts", "create", "ada", "--config", str(service.parent / "config.toml"))
    assert (folder / "var").exists()


@pytest.mark.parametrize("how", ["option", "variable", "here"])
def test_another_configuration_is_not_the_services(run: Run, service: Path, folder: Path, how: str) -> None:
    other = Path.cwd() / "config.toml" if how == "here" else folder / "other.toml"
    other.write_text(TONE)
    options = ("--config", str(other)) if how == "option" else ()
    if how == "variable":
        os.environ["VOXGATE_CONFIG"] = str(other)
    run("accounts", "create", "ada", *options)
    assert (other.parent / "data").exists()
    assert not (folder / "var").exists()


def test_a_drop_in_changes_the_unit(run: Run, service: Path, folder: Path) -> None:
    drop_in = service.with_name(f"{service.name}.d") / "override.conf"
    drop_in.parent.mkdir()
    drop_in.write_text(f"[Service]\nEnvironment=VOXGATE_SERVER__DATA={folder / 'later'}\n")
    run("accounts", "create", "ada")
    assert (folder / "later").exists()


def test_a_file_of_variables_serves_as_well(run: Run, service: Path, folder: Path) -> None:
    file = folder / "environment"
    config = service.parent / "config.toml"
    file.write_text(f"VOXGATE_CONFIG={config}\nVOXGATE_SERVER__DATA='{folder / 'plain'}'\n")
    os.environ[NAMED_BY] = str(file)
    run("accounts", "create", "ada")
    assert (folder / "plain").exists()


def test_a_unit_that_cannot_be_read_is_one_line_if_it_is_needed(run: Run, service: Path) -> None:
    service.write_bytes(b"\xff\xfe[Service]")
    assert "the service's environment, cannot be read" in refused(run("accounts", "list"))
    config = service.parent / "config.toml"
    assert run("accounts", "list", "--config", str(config)).status == 0


def test_a_folder_without_a_server_gets_no_database_by_mistake(
    run: Run, service: Path, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    os.environ[NAMED_BY] = str(folder / "no unit")
    Path("data/models").mkdir(parents=True)  # a pull was here
    for command in ("accounts create ada", "accounts list", "keys create --account ada", "database upgrade"):
        said = refused(run(*command.split()))
        assert f"{Path.cwd()} has neither config.toml nor data/voxgate.db" in said
        assert "--config" in said
    assert [*Path("data").iterdir()] == [Path("data/models")]
    # A folder that is named, or asked for, is made. Then it is a server's.
    monkeypatch.setenv("VOXGATE_SERVER__DATA", str(folder / "named"))
    assert run("accounts", "create", "ada").status == 0
    monkeypatch.delenv("VOXGATE_SERVER__DATA")
    assert run("accounts", "create", "ada", "--new").status == 0
    assert run("keys", "create", "--account", "ada").status == 0
    assert [each.name for each in Path.cwd().iterdir()] == ["data"]


@each_row(
    ("written", "port", "expected"),
    [
        ("", 8001, "127.0.0.1:9465"),
        ("port = 9000", 9010, "127.0.0.1:9474"),
        ('metrics = "0.0.0.0:9100"', 8001, "0.0.0.0:9100"),
        ('metrics = ""', 8001, ""),
        ("", 65_000, "127.0.0.1:9464"),
    ],
)
def test_at_another_port_the_metrics_are_as_far_from_theirs(
    tmp_path: Path, written: str, port: int, expected: str
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f"[server]\n{written}\n")
    assert metrics_beside(port, file) == expected
