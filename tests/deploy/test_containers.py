"""Dockerfile and compose.yaml: sound, whole, for an ordinary user, and understood by voxgate itself.

The image is not built here, since few machines can. What the files say is held against the project: what is
copied, what is set, and what the health check tells of a real server.
"""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.redis_server import redis_server
from tests.server import TONE, running

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
CONFIG = tomllib.loads((ROOT / "config.toml").read_text())
_HEALTHCHECK = ROOT / "deploy" / "healthcheck.py"


def test_the_linter_has_nothing_to_say() -> None:
    hadolint = str(Path(sys.executable).parent / "hadolint")
    command = [hadolint, "Dockerfile", "deploy/kustomize/Dockerfile"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stdout) == (0, "")


def test_the_image_has_every_part_of_the_server_and_no_more() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    taken = {line[1:] for line in ignored if line.startswith("!")}
    assert "*" in ignored, "what is not named would be taken"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = {name.rstrip("*") for name in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    installer = {"locks", "pyproject.toml", "scripts/install", "README.md", "LICENSE", "LICENSES"}
    assert taken == packages | installer | {"config.toml", "deploy/healthcheck.py"}
    assert not [name for name in taken if not (ROOT / name).exists()]


def test_the_image_runs_as_an_ordinary_user() -> None:
    [number] = re.findall(r"^USER (\d+):\1$", DOCKERFILE, re.MULTILINE)
    assert int(number) > 999
    assert DOCKERFILE.index("USER ") > DOCKERFILE.rindex("\nRUN "), "a step would run as this user"
    assert f"--uid {number} " in DOCKERFILE
    assert f"uid={number}" in str(SERVICES["voxgate"]["tmpfs"])


def test_the_image_fetches_voices_into_its_volume_and_is_given_the_time() -> None:
    assert 'CMD ["voxgate", "serve", "--voices", "natural"]' in DOCKERFILE
    [volume] = re.findall(r"^VOLUME (\S+)$", DOCKERFILE, re.MULTILINE)
    places = re.findall(r"(?:XDG_CACHE_HOME|VOXGATE_SERVER__DATA)=(\S+)", DOCKERFILE)
    assert [Path(place).is_relative_to(volume) for place in places] == [True, True]
    assert f"voxgate:{volume}" in SERVICES["voxgate"]["volumes"]
    assert "command" not in SERVICES["voxgate"]
    # While they are fetched the server does not answer, and that is no fault.
    [seconds] = re.findall(r"--start-period=(\d+)s", DOCKERFILE)
    assert int(seconds) >= 600


def test_the_health_check_says_whether_the_server_is_ready(tmp_path: Path) -> None:
    with running(tmp_path, TONE) as server:
        assert _health(server.url) == (0, True)
    assert _health(server.url) == (1, False)


def test_a_server_that_cannot_serve_is_not_healthy(tmp_path: Path) -> None:
    with running(tmp_path, TONE.replace('default_model = "tone"', 'default_model = "gone"')) as server:
        assert _health(server.url) == (1, False)


def test_the_composed_server_is_locked_up_and_stops_in_time() -> None:
    server = SERVICES["voxgate"]
    assert server["read_only"]
    assert server["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in server["security_opt"]
    assert all(port.startswith("127.0.0.1:") for port in server["ports"])
    assert int(server["stop_grace_period"].removesuffix("s")) >= 60 + CONFIG["server"]["drain_s"] + 15


def test_the_composed_server_waits_for_what_it_needs() -> None:
    needed = {name for name in SERVICES if name != "voxgate"}
    assert SERVICES["voxgate"]["depends_on"] == {name: {"condition": "service_healthy"} for name in needed}
    assert all(SERVICES[name]["healthcheck"]["test"] for name in needed)


def test_no_password_is_in_the_files() -> None:
    passwords = [
        value
        for service in SERVICES.values()
        for name, value in service.get("environment", {}).items()
        if "PASSWORD" in name or "STORAGE" in name
    ]
    assert len(passwords) == 2
    assert all("${POSTGRES_PASSWORD:?" in value for value in passwords)
    assert SERVICES["voxgate"]["env_file"] == ".env"
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()


def test_voxgate_understands_what_is_set(tmp_path: Path) -> None:
    image = dict(re.findall(r"(VOXGATE_\w+)=(\S+)", DOCKERFILE))
    composed = {
        name: re.sub(r"\$\{POSTGRES_PASSWORD:\?[^}]*\}", "secret", value)
        for name, value in SERVICES["voxgate"]["environment"].items()
    }
    assert set(image) == {"VOXGATE_CONFIG", "VOXGATE_SERVER__DATA", "VOXGATE_SERVER__HOST"}
    own = {"VOXGATE_CONFIG": str(ROOT / "config.toml"), "VOXGATE_SERVER__DATA": str(tmp_path)}
    checked = subprocess.run(
        [Path(sys.executable).parent / "voxgate", "check"],
        env={**os.environ, **image, **composed, **own},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_composed_redis_throws_no_count_away() -> None:
    program, *options = shlex.split(SERVICES["redis"]["command"])
    assert program == "redis-server"
    with redis_server(*options) as server, server.client() as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("appendonly") == {"appendonly": "no"}


def _health(url: str) -> tuple[int, bool]:
    """The status that a container would get, and whether the server called itself ready."""
    environ = {**os.environ, "VOXGATE_SERVER__PORT": url.rpartition(":")[2]}
    command = [sys.executable, "-I", str(_HEALTHCHECK)]
    told = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=30, check=False)
    assert told.stdout, "an operator would see nothing"
    return told.returncode, '"ready"' in told.stdout
