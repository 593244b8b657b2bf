"""The engine of hibari. It gets the package's reader and its synthesis as functions from `worker.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from plugins.hibari.plugin import VOICE, HibariSettings
from plugins.hibari.reading import pieces_of, readable
from speech_engine import Context, ModelInfo, VoiceInfo
from speech_engine.host.onnx_engine import CoreShare, OnnxEngine
from speech_engine.host.onnx_network import OnnxNetwork, StopSwitch
from speech_engine.host.voice_levels import VoiceLevel
from speech_engine.imported_voices import find_voice, one_model
from speech_engine.levels import TARGET_LUFS
from speech_engine.text.sounds import Phonemize, Piece
from speech_engine.values import Voice

RATE_HZ = 24_000
LANGUAGE = "en-US"
NETWORK = "5f70741d4e900f4e85d0037498736cc1b3e1b9a63a13546a5da1e63abf4fccd8"
"""The SHA-256 of the network."""

LUFS = -26.2
"""The loudness of its voice, of eight sentences."""

Synthesize = Callable[[Sequence[NDArray[np.float32]]], NDArray[np.float32]]
"""Makes the sound of the network's outputs."""


class OneVoice:
    """The `NamedVoices` of the engine, which has one voice."""

    def infos(self) -> tuple[VoiceInfo, ...]:
        return (
            VoiceInfo(
                id=VOICE, name=VOICE, language=LANGUAGE, gender="female", tags=("American",), lufs=TARGET_LUFS
            ),
        )

    def model(self) -> ModelInfo:
        return one_model((LANGUAGE,), RATE_HZ, NETWORK[:32])

    def find(self, voice: Voice, language: str) -> str:
        return find_voice("hibari", {VOICE: VOICE}, lambda _voice: (LANGUAGE,), voice, language)


class Package(NamedTuple):
    """What the engine takes from the package: its reader, its alphabet and its synthesis."""

    phonemize: Phonemize
    symbols: Mapping[str, int]
    synthesize: Synthesize


class HibariEngine(OnnxEngine[str, OnnxNetwork]):
    title = "hibari"

    def __init__(
        self,
        settings: HibariSettings,
        share: CoreShare,
        context: Context,
        package: Package,
        network: OnnxNetwork,
        threads: ThreadPoolExecutor,
    ) -> None:
        super().__init__(settings, share, context, OneVoice(), package.phonemize, threads)
        self._package = package
        self._network = network

    def read(self, text: str, voice: str, sounds_before: int) -> list[Piece]:
        return pieces_of(self._phonemize(readable(text), LANGUAGE, ()), self._package.symbols)

    def level(self, voice: str) -> VoiceLevel:
        return VoiceLevel(Path(), voice, LUFS)

    def lend(self, voice: str, within_s: float) -> AbstractAsyncContextManager[OnnxNetwork]:
        return nullcontext(self._network)

    def sounds(
        self, network: OnnxNetwork, piece: Piece, voice: str, speed: float, stop: StopSwitch
    ) -> Iterator[NDArray[np.float32]]:
        values: dict[str, Any] = {
            "ids": np.array([piece.numbers], np.int64),
            "speed": np.array([speed], np.float32),
        }
        yield self._package.synthesize([made[0] for made in network.run(network.outputs, values, stop)])
