"""The bodies of requests to MiniMax, and its answers. Fields that MiniMax may add are ignored.

MiniMax itself ignores a field with a wrong name. So only a test of the exact JSON finds a wrong name.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from speech_engine.redacted import Redacted


class StreamOptions(msgspec.Struct, frozen=True):
    exclude_aggregated_audio: bool = True


class VoiceSetting(msgspec.Struct, frozen=True):
    speed: float
    vol: float
    pitch: int
    voice_id: str | UnsetType = UNSET
    emotion: str | UnsetType = UNSET
    text_normalization: bool | UnsetType = UNSET


class AudioSetting(msgspec.Struct, frozen=True):
    sample_rate: int
    format: str
    channel: int = 1
    bitrate: int | UnsetType = UNSET


class TimbreWeight(msgspec.Struct, frozen=True):
    voice_id: str
    weight: int


class PronunciationDict(msgspec.Struct, frozen=True):
    tone: tuple[str, ...]


class SpeechBody(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    model: str
    text: str
    stream: bool
    stream_options: StreamOptions | UnsetType = UNSET
    output_format: str = "hex"
    voice_setting: VoiceSetting
    audio_setting: AudioSetting
    language_boost: str
    pronunciation_dict: PronunciationDict | UnsetType = UNSET
    timbre_weights: tuple[TimbreWeight, ...] | UnsetType = UNSET


class VoicesBody(msgspec.Struct, frozen=True):
    voice_type: str


class CloneBody(msgspec.Struct, frozen=True, kw_only=True):
    file_id: int
    voice_id: str
    language_boost: str | UnsetType = UNSET
    need_noise_reduction: bool = False


class FileBody(msgspec.Struct, frozen=True):
    file_id: int
    purpose: str = "voice_clone"


class DeleteBody(msgspec.Struct, frozen=True):
    voice_id: str
    voice_type: str = "voice_cloning"


class BaseResp(Redacted, msgspec.Struct, frozen=True):
    """The result of a request. It counts more than the HTTP status.

    `status_msg` may quote the text, so it is neither shown nor logged.
    """

    status_code: int
    status_msg: str = ""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The fields that every answer has."""

    base_resp: BaseResp | None = None
    trace_id: str | None = None


class SpeechData(Redacted, msgspec.Struct, frozen=True):
    audio: str | None = None
    status: int | None = None


class ExtraInfo(msgspec.Struct, frozen=True):
    usage_characters: int | None = None


class SpeechAnswer(Answer, frozen=True, kw_only=True):
    """A whole answer or one event of a stream. Both have the same shape."""

    data: SpeechData | None = None
    extra_info: ExtraInfo | None = None


class VoiceRow(msgspec.Struct, frozen=True):
    voice_id: str
    voice_name: str | None = None
    description: tuple[str, ...] | None = None


class VoicesAnswer(Answer, frozen=True, kw_only=True):
    system_voice: tuple[VoiceRow, ...] | None = None
    voice_cloning: tuple[VoiceRow, ...] | None = None
    voice_generation: tuple[VoiceRow, ...] | None = None


class UploadedFile(msgspec.Struct, frozen=True):
    file_id: int
    """A number above 2^53, so it must never become a float."""


class UploadAnswer(Answer, frozen=True, kw_only=True):
    file: UploadedFile | None = None


class ListedFile(UploadedFile, frozen=True):
    filename: str = ""


class FilesAnswer(Answer, frozen=True, kw_only=True):
    files: tuple[ListedFile, ...] | None = None
