"""The contract between engines and the server: values, events, errors, plugin kinds.

The package imports only the standard library and msgspec, so that it fits into any engine's environment.
`speech_engine.host` (needs grpcio) runs an engine in its own process and is imported by name only.
"""

from speech_engine.cloning import CloneInfo, CloneList, CloneRequest, CloneSample
from speech_engine.comparer import Comparer, SpeakerScale
from speech_engine.detector import Detector, RankingDetector
from speech_engine.engine import (
    Engine,
    EngineClones,
    EngineConverts,
    EngineDeletesVoices,
    EngineFindsClones,
    EngineRefreshes,
    EngineVoices,
)
from speech_engine.errors import (
    CloneNameUsed,
    ContentRefused,
    EngineBusy,
    EngineCannot,
    EngineError,
    EngineExhausted,
    EngineFailed,
    EngineLimited,
    EngineStumbled,
    EngineTimeout,
    EngineUnauthorized,
    EngineUnavailable,
    NoCloneRoom,
    UnsupportedLanguage,
    UnsupportedText,
    UnusableSample,
    VoiceNotFound,
)
from speech_engine.events import (
    Audio,
    ClonesListed,
    Encoded,
    Event,
    Finished,
    Started,
    VoiceMade,
    Word,
    Words,
)
from speech_engine.front_end import FrontEnd
from speech_engine.http import HttpAnswer, HttpClient, HttpFile, HttpForm, HttpRequest
from speech_engine.mark import Detection, Mark, MarkKey, MarkStream
from speech_engine.models import ANY_LANGUAGE, Language, ModelInfo, VoiceInfo
from speech_engine.plugin import Context, Hosted, Plugin
from speech_engine.samples import SampleReader
from speech_engine.values import (
    Alphabet,
    EngineVoice,
    Mix,
    Pronunciation,
    Rewritten,
    Sample,
    Samples,
    Segment,
    SpeechJob,
    Urgency,
    Voice,
)
from speech_engine.work import Clone, Convert, DeleteVoice, FindClone, ListClones, Speak, Work

API_VERSION = 3
"""The version in the host's handshake. If a value or a message changes its meaning, the number goes up."""

__all__ = [
    "ANY_LANGUAGE",
    "API_VERSION",
    "Alphabet",
    "Audio",
    "Clone",
    "CloneInfo",
    "CloneList",
    "CloneNameUsed",
    "CloneRequest",
    "CloneSample",
    "ClonesListed",
    "Comparer",
    "ContentRefused",
    "Context",
    "Convert",
    "DeleteVoice",
    "Detection",
    "Detector",
    "Encoded",
    "Engine",
    "EngineBusy",
    "EngineCannot",
    "EngineClones",
    "EngineConverts",
    "EngineDeletesVoices",
    "EngineError",
    "EngineExhausted",
    "EngineFailed",
    "EngineFindsClones",
    "EngineLimited",
    "EngineRefreshes",
    "EngineStumbled",
    "EngineTimeout",
    "EngineUnauthorized",
    "EngineUnavailable",
    "EngineVoice",
    "EngineVoices",
    "Event",
    "FindClone",
    "Finished",
    "FrontEnd",
    "Hosted",
    "HttpAnswer",
    "HttpClient",
    "HttpFile",
    "HttpForm",
    "HttpRequest",
    "Language",
    "ListClones",
    "Mark",
    "MarkKey",
    "MarkStream",
    "Mix",
    "ModelInfo",
    "NoCloneRoom",
    "Plugin",
    "Pronunciation",
    "RankingDetector",
    "Rewritten",
    "Sample",
    "SampleReader",
    "Samples",
    "Segment",
    "Speak",
    "SpeakerScale",
    "SpeechJob",
    "Started",
    "UnsupportedLanguage",
    "UnsupportedText",
    "UnusableSample",
    "Urgency",
    "Voice",
    "VoiceInfo",
    "VoiceMade",
    "VoiceNotFound",
    "Word",
    "Words",
    "Work",
]
