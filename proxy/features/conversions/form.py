"""The form of a conversion, and its checks. The result is a request for the speech pipeline."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta
from starlette.requests import Request

from policies.plans import Terms
from proxy.audio.formats import FORMATS, OutputForm, find_form
from proxy.config.fields import FieldFault, missing_parameter
from proxy.errors import InvalidRequest, NotFound, RequestTooLarge
from proxy.features.consents.grants import STATED_CONSENT, Grant, Grants
from proxy.http.connection import Connection
from proxy.http.form import MOST_FILE_BYTES, RECORDING_TOO_LARGE, RequestForm, json_or_text, read_form
from proxy.http.replies import encode_json
from proxy.speech import speech_request
from proxy.speech.client_fields import Extra
from proxy.speech.speech_body import MANIFEST_FORMATS, Bitrate, Pitch, SampleRate, Seed, VoiceName, one_of
from proxy.speech.speech_request import SourceSound, SpeechRequest
from proxy.speech.usage_tag import Tag
from speech_engine.redacted import Redacted

FILE, CONSENT = "file", "consent"
_JSON_FIELDS = (
    *("pitch", "index_rate", "protect", "rms_mix_rate", "tau"),
    *("seed", "sample_rate", "bitrate", "history"),
)
_ENGINE_FIELDS = ("f0_method", "index_rate", "protect", "rms_mix_rate", "tau")
"""The fields that only some engines support. They are sorted, so that equal fields give equal `Extra`
values."""


class ConversionForm(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """A conversion as a form. The file `file` has the recording that is to be repeated in another voice."""

    model: Annotated[VoiceName, Meta(description="the id of a model that converts, see GET /v1/models")]
    voice: Annotated[VoiceName, Meta(description="the id or name of a voice, see GET /v1/audio/voices")]
    pitch: Pitch = 0.0
    index_rate: Annotated[float, Meta(ge=0, le=1, description="a number from 0 to 1")] | None = None
    protect: Annotated[float, Meta(ge=0, le=0.5, description="a number from 0 to 0.5")] | None = None
    rms_mix_rate: Annotated[float, Meta(ge=0, le=1, description="a number from 0 to 1")] | None = None
    f0_method: Annotated[Literal["pm", "rmvpe"], Meta(description="pm or rmvpe")] | None = None
    tau: Annotated[float, Meta(ge=0, le=1, description="a number from 0 to 1")] | None = None
    seed: Seed | None = None
    response_format: Annotated[str, one_of(FORMATS)] = "mp3"
    sample_rate: SampleRate | None = None
    bitrate: Bitrate | None = None
    provenance: Annotated[Literal["c2pa"], Meta(description="c2pa")] | None = None
    consent: Annotated[
        str, Meta(max_length=256, description='the id of a consent of who speaks in the file, or "true"')
    ] = ""
    tag: Tag | None = None
    history: Annotated[bool, Meta(description="true or false")] | None = None


FIELDS = frozenset(ConversionForm.__struct_fields__)
SPEECH_FIELDS = frozenset({"emotion", "instructions", "language", "speed", "stream_format"})
"""Fields of speech that a conversion ignores. The answer lists those that were sent."""
INPUT_TYPE = "input_type"


class ConversionUpload(NamedTuple):
    """A conversion that was read. `ignored` are the fields of speech that were sent, and have no effect."""

    form: ConversionForm
    output: OutputForm
    audio: bytes
    ignored: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<ConversionUpload {self.form!r}, {len(self.audio)} bytes>"

    def request(self, source: SourceSound) -> SpeechRequest:
        """Return the request that converts this recording. It is not cached: a repeat is unlikely."""
        form = self.form
        return SpeechRequest(
            model=form.model,
            text="",
            voice=form.voice,
            form=self.output,
            answer="audio",
            speed=1.0,
            language=None,
            pitch=form.pitch,
            emotion=None,
            seed=form.seed,
            cache=False,
            extra=_extra(form),
            ignored=self.ignored,
            provenance=form.provenance,
            source=source,
            tag=form.tag or "",
            history=form.history is True,
        )


async def find_grant(
    grants: Grants, account: str, form: ConversionForm, terms: Terms, *, is_new: bool = True
) -> Grant | None:
    """Return the consent of the recording's speaker. None: the form has none, or only states that the speaker
    agrees. What was begun with a consent does not wait until it is heard.

    Raises NotFound, and NotAllowed if the consent excludes conversions, or only states what must be heard.
    """
    consent = form.consent.strip()
    if is_new:
        grants.check_stated(consent, terms, CONSENT)
    if consent in (STATED_CONSENT, ""):
        return None
    try:
        grant = await grants.find_grant(account, consent, CONSENT, is_new=is_new)
    except NotFound as failure:
        message = f"{failure.message} It must be the id of a consent, or true if who speaks agrees."
        raise NotFound(message, param=CONSENT, code=failure.code) from None
    grant.check_use("conversion", CONSENT)
    return grant


def source_sound(
    pcm: bytes, seconds: float, digest: str, grant: Grant | None, file: bytes = b""
) -> SourceSound:
    if grant is None:
        return SourceSound(pcm, seconds, digest, file=file)
    receivers, consent = grant.providers, grant.digest
    return SourceSound(pcm, seconds, digest, receivers=receivers, consent=consent, file=file)


async def read_conversion_body(request: Request | Connection) -> RequestForm:
    """Read the body of a request. Raises the errors of `read_form`. If the body or the file is too large, the
    error names the file."""
    try:
        return await read_form(
            request, files={FILE: MOST_FILE_BYTES}, fields={*FIELDS, *SPEECH_FIELDS, INPUT_TYPE}
        )
    except RequestTooLarge:
        raise RequestTooLarge(f"Invalid value for '{FILE}': {RECORDING_TOO_LARGE}.", param=FILE) from None
    except InvalidRequest as failure:
        if failure.code != "file_too_large":
            raise
        message = f"Invalid value for '{FILE}': {RECORDING_TOO_LARGE}."
        raise InvalidRequest(message, param=FILE, code=failure.code) from None


def read_conversion(
    form: RequestForm, *, needs_consent: bool, as_: type[ConversionForm] = ConversionForm
) -> ConversionUpload:
    """Read a form. Raises InvalidRequest, which names the field."""
    filled_fields = {name: texts for name, texts in form.fields.items() if texts != [""]}
    if INPUT_TYPE in filled_fields:
        raise InvalidRequest(f"'{INPUT_TYPE}' is for texts, and not for a recording.", param=INPUT_TYPE)
    ignored = tuple(sorted(filled_fields.keys() & SPEECH_FIELDS))
    values = {name: _parse_value(name, texts) for name, texts in filled_fields.items() if name not in ignored}
    read = speech_request.read(as_, values)
    output = output_form(read)
    if (file := form.files.get(FILE)) is None:
        raise missing_parameter(FILE, ": the recording that is to be converted, as a file.")
    check_consent(read, needs_consent=needs_consent)
    return ConversionUpload(read, output, file.data, ignored)


def check_consent(form: ConversionForm, *, needs_consent: bool) -> None:
    """Raise InvalidRequest if a form names no consent, and the plan needs one."""
    if needs_consent and not form.consent.strip():
        raise missing_parameter(
            CONSENT, ": the id of a consent of who speaks in the file, or true if they agree."
        )


def _parse_value(name: str, texts: list[str]) -> Any:
    if len(texts) > 1:
        raise InvalidRequest(f"Invalid value for '{name}': it must come once.", param=name)
    return json_or_text(texts[0]) if name in _JSON_FIELDS else texts[0]


def output_form(form: ConversionForm) -> OutputForm:
    """Return the output form: format and rates. Raises InvalidRequest, which names the field."""
    format_ = form.response_format.lower()
    if format_ not in FORMATS:
        raise InvalidRequest(
            f"Invalid value for 'response_format': it must be one of {', '.join(FORMATS)}.",
            param="response_format",
        )
    if form.provenance is not None and format_ not in MANIFEST_FORMATS:
        raise InvalidRequest(
            f"'provenance' cannot be c2pa with {format_}, but with {', '.join(MANIFEST_FORMATS)}.",
            param="provenance",
        )
    made = find_form(format_, form.sample_rate, form.bitrate)
    if isinstance(made, FieldFault):
        raise InvalidRequest(
            f"Invalid value for '{made.field}': it must be {made.expected}.", param=made.field
        )
    return made


def _extra(form: ConversionForm) -> Extra:
    engine_fields = ((name, getattr(form, name)) for name in _ENGINE_FIELDS)
    return tuple((name, encode_json(value).decode()) for name, value in engine_fields if value is not None)
