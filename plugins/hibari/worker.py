"""The worker of hibari. Only this file loads the package."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import AsyncIterator, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
from hibari import dsp, tts
from hibari.g2p import G2P
from numpy.typing import NDArray

from plugins.hibari.engine import NETWORK, HibariEngine, Package
from plugins.hibari.plugin import HibariSettings
from speech_engine import Context, EngineUnavailable, Plugin, UnsupportedText
from speech_engine.host.onnx_engine import core_share
from speech_engine.host.onnx_network import OnnxNetwork

ASSETS = Path(tts.ASSETS)


class Reader:
    """The package's reader. It has a cache, so one text is read at a time."""

    def __init__(self) -> None:
        self._g2p = G2P()
        self._alone = threading.Lock()

    def read(self, text: str, _language: str, _clusters: Collection[tuple[str, ...]]) -> list[list[str]]:
        try:
            with self._alone:
                return [list(self._g2p(sentence)) for sentence in tts.Hibari.split_sentences(text)]
        except (LookupError, ValueError) as error:
            raise UnsupportedText("The voice cannot read this text.") from error


def synthesize(made: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Make the sound of the network's outputs. Its noise is always the same."""
    return np.asarray(dsp.synth(*made, np.random.default_rng(0)), np.float32)


def _load(threads: int) -> tuple[Package, OnnxNetwork]:
    file = ASSETS / "hibari.onnx"
    if hashlib.sha256(file.read_bytes()).hexdigest() != NETWORK:
        raise EngineUnavailable("The package has another network than this version of voxgate knows.")
    reader = Reader()
    reader.read("Hello, Hibari.", "", ())
    package = Package(reader.read, json.loads((ASSETS / "vocab.json").read_text()), synthesize)
    return package, OnnxNetwork(file, threads)


@asynccontextmanager
async def _create(name: str, settings: HibariSettings, context: Context) -> AsyncIterator[HibariEngine]:
    share = core_share(settings)
    package, network = await asyncio.to_thread(_load, share.threads)
    with ThreadPoolExecutor(share.slots, thread_name_prefix=name) as threads:
        yield HibariEngine(settings, share, context, package, network, threads)


def voxgate_register() -> tuple[Plugin[HibariSettings], ...]:
    return (Plugin(kind="engine", name="hibari", settings=HibariSettings, create=_create),)
