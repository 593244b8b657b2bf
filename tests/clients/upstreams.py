"""A server whose engines are other people's servers, each with its habits: fakes, speaking in tones."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fakes.openai.habits import HABITS
from plugins.openai.presets import PRESETS
from tests.server import Server, running, stop

_COMMAND = (sys.executable, "-m", "tests.plugins.openai.tone_fake")
_ENGINE = """
[engines.{name}]
plugin = "openai"
base_url = "{url}/{name}/v1"
{manner}
models = ["{model}"]
"""
# One that wants a recording with each request has no voice that a client could name.
KINDS = tuple(name for name, habits in HABITS.items() if name and not habits.needs_recording)


@contextmanager
def upstreams_in(folder: Path) -> Iterator[Server]:
    """Each kind of server is an engine, by the fake's name for it."""
    folder.mkdir()
    with _fake() as url:
        engines = (_engine(name, url) for name in KINDS)
        config = f'[server]\ndefault_model = "{KINDS[0]}"\n{"".join(engines)}'
        with running(folder, config, environ={"HOST_KEY": "sk-good"}) as server:
            yield server


def names(kind: str) -> tuple[str, str]:
    """The model and the voice that a request to this kind of server names."""
    return f"{kind}/{_model(kind)}", f"{kind}/{HABITS[kind].voices[0]}"


def _engine(kind: str, url: str) -> str:
    manner = 'stream = "sse"'
    if HABITS[kind].streams_samples_only:
        manner = 'preset = "vllm-omni"'
    elif kind in PRESETS and kind != "kokoro":
        voice = HABITS[kind].voices[0]
        manner = f'preset = "{kind}"\napi_key = "env:HOST_KEY"\nvoices = ["{voice}"]'
    return _ENGINE.format(name=kind, url=url, model=_model(kind), manner=manner)


def _model(kind: str) -> str:
    # OpenAI's older models have no events, and those who copied it have not either.
    return next(model for model in HABITS[kind].models if not model.startswith(("tts-1", "gpt-5")))


@contextmanager
def _fake() -> Iterator[str]:
    process = subprocess.Popen(_COMMAND, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().decode().split()[-1]
    finally:
        stop(process)
