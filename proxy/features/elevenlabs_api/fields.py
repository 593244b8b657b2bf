"""What a client of ElevenLabs asks for, as a request of ours: its body, its query, and the names in both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from policies.plans import Terms
from proxy.access.callers import Caller
from proxy.audio.formats import OutputForm, find_form
from proxy.catalogue.catalogue import Catalogue
from proxy.config.fields import FieldFault
from proxy.config.sections import Config
from proxy.errors import InvalidRequest, NotFound, UpstreamFailed
from proxy.features.elevenlabs_api.failures import UnsupportedFormat
from proxy.http.replies import encode_json
from proxy.speech.speaking import Speaking
from proxy.speech.speech_body import MAX_INPUT, Seed, VoiceName
from proxy.speech.speech_request import Defaults, SpeechRequest, parse_speech
from proxy.text_rules.ssml_body import read_speech
from speech_engine.redacted import Redacted

_RATES_HZ = (8000, 16000, 22050, 24000, 44100, 48000)
_OUR_NAMES = {"ulaw": "g711_ulaw", "alaw": "g711_alaw"}
OUTPUT_FORMATS = (
    *("mp3_22050_32", "mp3_24000_48", *(f"mp3_44100_{kbit_s}" for kbit_s in (32, 64, 96, 128, 192))),
    *(f"{kind}_{rate}" for kind in ("pcm", "wav") for rate in _RATES_HZ),
    *(f"opus_48000_{kbit_s}" for kbit_s in (32, 64, 96, 128, 192)),
    *("ulaw_8000", "alaw_8000"),
)
"""Those of ElevenLabs but `pcm_32000` and `wav_32000`."""
USUAL_FORMAT = "mp3_44100_128"

_Tag = Annotated[
    str,
    Meta(
        pattern=r"^([A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*|)\Z",
        max_length=35,
        description="a language tag such as en or pt-BR",
    ),
]
_Speed = Annotated[float, Meta(ge=0.25, le=4.0)]


class TextBody(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """The body of a text-to-speech call. Keys that are not listed have no effect."""

    text: Annotated[str, Meta(min_length=1, description=f"a text of 1 to {MAX_INPUT} characters")]
    model_id: Annotated[VoiceName, Meta(description="the id of a model, see GET /v1/models")] | None = None
    language_code: _Tag | None = None
    voice_settings: Annotated[dict[str, Any], Meta(description="an object")] | None = None
    seed: Seed | None = None


class SpeechFields(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asks for beside its text. With `is_ssml`, the text may have elements of SSML."""

    model: str
    voice: str
    form: OutputForm
    language: str = ""
    speed: float = 1.0
    seed: int | None = None
    is_ssml: bool = False

    def speech_request(self, text: str) -> SpeechRequest:
        """Return the request for a text. Raises InvalidRequest."""
        body: dict[str, Any] = {
            "model": self.model,
            "voice": self.voice,
            "input": text,
            "language": self.language,
            "speed": self.speed,
            "seed": self.seed,
        }
        if self.is_ssml:
            read = read_speech(text, is_lenient=True)
            body |= {"input": read.text, "markdown": "off", "lexicon": dict(read.words) or None}
        return replace(parse_speech(encode_json(body), Defaults()), form=self.form)


class FieldReader:
    """Reads what clients ask for, in one revision of the configuration."""

    def __init__(self, config: Config, catalogue: Catalogue, speaking: Speaking) -> None:
        self._aliases = config.models
        self._default_model = config.server.default_model
        self._catalogue = catalogue
        self._speaking = speaking

    def read_fields(self, voice: str, query: Mapping[str, str], body: TextBody | None = None) -> SpeechFields:
        """Return what a query and a body ask for. Raises InvalidRequest."""
        body = body or TextBody(text=" ")
        return SpeechFields(
            model=self._resolve_model(body.model_id or query.get("model_id", "")),
            voice=voice,
            form=parse_output_format(query.get("output_format") or USUAL_FORMAT),
            language=body.language_code or query.get("language_code", ""),
            speed=read_speed(body.voice_settings),
            seed=body.seed,
            is_ssml=query.get("enable_ssml_parsing", "").lower() == "true",
        )

    def caller_terms(self, caller: Caller) -> Terms:
        """Raises NotAllowed without terms of a plan."""
        return self._speaking.admission.terms(caller)

    def context_fields(self, fields: SpeechFields, speed: float) -> SpeechFields:
        """Return what a query asked for with the speed of one context, in this revision."""
        return replace(fields, model=self._resolve_model(fields.model), speed=speed)

    async def check_fields(
        self, id_: str, caller: Caller, fields: SpeechFields, terms: Terms
    ) -> SpeechFields:
        """Check that some model speaks as this says. A language that none of them has is left out. Raises as
        `Speaking.prepare_call`."""
        request = fields.speech_request("a")  # any text will do
        try:
            await self._speaking.prepare_call(id_, caller, request, terms)
        except InvalidRequest as failure:
            if failure.code != "unsupported_language":
                raise
            return replace(fields, language="")
        return fields

    def _resolve_model(self, name: str) -> str:
        """Return a model of this server: one of ElevenLabs that no engine has means the default."""
        if not name:
            return self._default_model
        if name.startswith("eleven_") and name not in self._aliases:
            try:
                self._catalogue.resolve_models(name)
            except (NotFound, UpstreamFailed):
                return self._default_model
        return name


def parse_output_format(name: str) -> OutputForm:
    """Return the form of an `output_format`. Raises UnsupportedFormat."""
    kind, _, numbers = name.partition("_")
    rate, _, kbit_s = numbers.partition("_")
    if name in OUTPUT_FORMATS:
        form = find_form(_OUR_NAMES.get(kind, kind), int(rate), int(kbit_s) if kbit_s else None)
        assert not isinstance(form, FieldFault), "the list has what the encoders have"
        return form
    raise UnsupportedFormat(
        f"Invalid value for 'output_format': it must be one of {', '.join(OUTPUT_FORMATS)}.",
        param="output_format",
    )


def read_speed(settings: Mapping[str, Any] | None) -> float:
    """Return the speed of some `voice_settings`. Raises InvalidRequest."""
    if settings is None or settings.get("speed") is None:
        return 1.0
    try:
        return msgspec.convert(settings["speed"], _Speed)
    except msgspec.ValidationError:
        raise InvalidRequest(
            "Invalid value for 'voice_settings.speed': it must be a number from 0.25 to 4.0.",
            param="voice_settings.speed",
        ) from None
