"""The front of an engine whose voices are ONNX files of an operator, and whose texts espeak-ng reads.

Its worker is an `OnnxEngine` (`speech_engine/host/onnx_engine.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, ClassVar, TypeVar

import msgspec

from speech_engine.errors import UnsupportedLanguage, VoiceNotFound
from speech_engine.model_files import OnnxGraph, UnusableModel
from speech_engine.models import Language, ModelInfo
from speech_engine.plugin import Hosted
from speech_engine.values import EngineVoice, Voice

V = TypeVar("V")

MODEL = "standard"
MOST_CHARACTERS = 400
"""The limit of a sentence: about half a minute of sound, which a network makes in one piece."""

_Few = Annotated[int, msgspec.Meta(ge=0, le=64)]


class OnnxSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The settings that all these engines have. An engine's own settings inherit them.

    `slots` texts are spoken at once. A text that is spoken alone begins with `threads` of the processor, and
    goes on with one. If they are 0, the host's cores decide. All runs together never have more threads than
    cores. `pause_ms` is the pause after a sentence, at the usual speed.
    """

    texts_a_core: ClassVar[int] = 1
    """How many texts a core makes at once, if `slots` is 0."""

    slots: _Few = 0
    threads: _Few = 0
    pause_ms: Annotated[int, msgspec.Meta(ge=0, le=2000)] = 450


def onnx_host(module: str) -> Hosted:
    """Return the host of a worker that needs onnxruntime and espeak-ng. constraints.txt is beside it."""
    return Hosted(
        module=module,
        packages=("onnxruntime>=1.31.1,<2", "numpy>=2,<3"),
        # Only its reading of texts is used. Its other requirements serve its commands.
        bare=("piper-tts==1.8.0",),
        constraints="constraints.txt",
        imports=("piper.espeakbridge",),
        # A model that allocates absurd amounts of memory fails alone, and not the machine.
        memory_mb=16_384,
    )


def judge_graph(
    file: str, graph: OnnxGraph, needed: Mapping[str, tuple[str, int]], output: str, unknown: str
) -> None:
    """Raise UnusableModel unless the inputs have these types and dimensions, and the output may be sound.

    An input without a type may be absent. `unknown` ends the message about an input of another name.
    """
    for name in graph.inputs.keys() - needed.keys():
        raise UnusableModel(f"{file}: it has an input {name[:80]!r}, which {unknown}")
    for name, (dtype, rank) in needed.items():
        found = graph.inputs.get(name)
        if dtype and (found is None or found.dtype != dtype or len(found.shape or ()) != rank):
            raise UnusableModel(f"{file}: its input {name!r} is missing or has another type or shape")
    sound = graph.outputs.get(output)
    if sound is None or sound.dtype != "F32" or (sound.shape is not None and not 1 <= len(sound.shape) <= 4):
        raise UnusableModel(f"{file}: its output {output!r} is missing or is no sound")


def one_model(tags: Iterable[str], sample_rate_hz: int, digest: str) -> ModelInfo:
    """Describe all voices as one model, so that clients choose between voices, as with other engines."""
    spoken = dict.fromkeys(tags)
    bases = dict.fromkeys(tag.partition("-")[0] for tag in spoken)
    return ModelInfo(
        id=MODEL,
        languages=tuple(Language(tag) for tag in dict.fromkeys((*spoken, *bases))),
        sample_rate_hz=sample_rate_hz,
        digest=digest,
        max_characters=MOST_CHARACTERS,
        speed=(0.5, 2.0),
        times_words=False,
        # espeak-ng reads digits, but it reads neither "R$ 1.234,50" nor "20/11" as people do.
        reads_numbers=False,
    )


def find_voice(
    engine: str, voices: Mapping[str, V], tags: Callable[[V], Iterable[str]], voice: Voice, language: str
) -> V:
    """Return the named voice, if it speaks the language of any region.

    `tags` gives those of a voice. Raise VoiceNotFound or UnsupportedLanguage, with the engine's name.
    """
    id_ = voice.id if isinstance(voice, EngineVoice) else ""
    if (found := voices.get(id_)) is None:
        raise VoiceNotFound(
            f"{engine} has no voice {id_[:80]!r}." if id_ else f"{engine} has only voices of its own."
        )
    base = language.partition("-")[0].lower()
    if base not in (tag.partition("-")[0].lower() for tag in tags(found)):
        raise UnsupportedLanguage(f"This voice of {engine} does not speak the language {language!r}.")
    return found
