"""The form by which a trained model of a voice is uploaded, and its files."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, BinaryIO

import msgspec
from msgspec import Meta

from proxy.config.fields import missing_parameter
from proxy.errors import InvalidRequest
from proxy.features.own_voices.bodies import DescribedVoice
from proxy.http.body import AccountName, Label, Labels, LanguageTag, Name, ReasonText, Tags

FILE = "file"
INDEX = "index"
MOST_BYTES = {FILE: 200 * 1024 * 1024, INDEX: 640 * 1024 * 1024}

_Format = Annotated[
    str,
    Meta(max_length=50, description="the format of the model: that of the engine which will speak with it"),
]


class VoiceModelForm(msgspec.Struct, frozen=True, kw_only=True):
    """A model that was trained of a voice. `name` makes a voice of it, and then the rest describes that;
    `voice` gives it to a voice of the account. `format` is `rvc` if it is left out and an engine takes that.
    """

    name: Name | None = None
    voice: Name | None = None
    format: _Format = ""
    consent: Name | None = None
    description: ReasonText = ""
    tags: Tags = ()
    labels: Labels = {}
    language: LanguageTag | None = None
    gender: Label | None = None

    def __repr__(self) -> str:
        return "<VoiceModelForm>"

    def check(self) -> None:
        """Raise InvalidRequest unless it names a new voice or one that is there."""
        if (self.name is None) == (self.voice is None):
            raise missing_parameter(
                "name", ". Send the 'name' of a new voice, or the 'voice' that gets the model: one of them."
            )
        if self.voice is not None and self.consent is not None:
            raise InvalidRequest(
                "Invalid value for 'consent': the voice has its own; leave it out.", param="consent"
            )

    @property
    def voice_description(self) -> DescribedVoice:
        """The description of the new voice."""
        values: dict[str, Any] = {
            each: getattr(self, each) for each in ("description", "tags", "labels", "language", "gender")
        }
        return DescribedVoice(name=self.name or "", **values)


class SavedVoiceModelForm(VoiceModelForm, frozen=True, kw_only=True):
    """A model for a voice of one account. Without `account`, the voice is everybody's."""

    account: AccountName | None = None


class UploadedModel:
    """A file that is being uploaded, in memory alone. `digest` is that of the bytes so far."""

    def __init__(self, file: BinaryIO, most_bytes: int) -> None:
        self.file = file
        self.most_bytes = most_bytes
        self.digest = hashlib.sha256()
        self.size = 0

    def write(self, piece: bytes) -> None:
        self.file.write(piece)
        self.digest.update(piece)
        self.size += len(piece)
