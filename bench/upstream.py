"""A provider that costs nothing: nginx with a 48 KB clip, and a configuration that speaks by it."""

from __future__ import annotations

import http.client
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.clip import clip
from bench.load import post

_READY_S = 90.0
_NGINX = """
daemon off; pid {folder}/pid; error_log stderr crit; worker_processes 1;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  keepalive_requests 10000000;
  server {{
    listen 127.0.0.1:{port};
    root {folder}; default_type audio/mpeg;
    error_page 405 =200 $uri;
  }}
}}
"""
VOXGATE = """
[server]
[engines.upstream]
plugin = "openai"
base_url = "{base}"
models = ["tts-1"]
voices = ["alloy"]
concurrency = 1000
[models]
"tts-1" = ["upstream/tts-1"]
[voices.alloy]
upstream = "alloy"
[plans.unlimited]
allowance = 1000000000
rpm = 1000000
streams = 1000
max_characters = 4096
prices.speech = {{ credits = 1, per = "second" }}
"""


@contextmanager
def nginx(folder: Path) -> Iterator[int]:
    if shutil.which("nginx") is None:
        raise SystemExit("this needs nginx, and there is none: apt-get install nginx")
    port = free_port()
    (folder / "v1" / "audio").mkdir(parents=True)
    (folder / "v1" / "audio" / "speech").write_bytes(clip())
    folder.chmod(0o755)
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, port=port))
    with process(["nginx", "-c", str(folder / "nginx.conf"), "-p", str(folder)]):
        until_it_speaks(port, "none")
        yield port


@contextmanager
def process(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as started:
        try:
            yield started
        finally:
            started.terminate()


def until_it_speaks(port: int, key: str) -> None:
    deadline = time.monotonic() + _READY_S
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            if post(connection, key).status == 200:
                return
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise SystemExit(f"nothing speaks on port {port}")
        time.sleep(0.2)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
