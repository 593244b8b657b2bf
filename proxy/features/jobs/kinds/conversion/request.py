"""What a job of a recording is asked for: the fields of a conversion, and a file that may play for longer."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta
from msgspec.structs import replace

from proxy.api.conversion_form import ConversionForm, SentConversion, output_of
from proxy.errors import InvalidRequest
from proxy.features.jobs.core.fields import ENCODED, SentFields, step_format


class ConversionJobForm(ConversionForm, frozen=True, kw_only=True):
    """The form of POST /v1/jobs: that of a conversion. Its `file` may play for two hours."""

    kind: Annotated[Literal["conversion"], Meta(description="conversion, the only kind of job in a form")]

    def __repr__(self) -> str:
        return f"<ConversionJobForm {self.model} {self.voice} as {self.response_format}>"


class ConversionFields(SentFields, frozen=True, kw_only=True):
    """What is sealed of such a job: the form of each step, the SHA-256 of the file, and how that is mixed."""

    form: ConversionForm
    source: str
    takes_first: bool

    def __repr__(self) -> str:
        return "<ConversionFields>"


def check_conversion(sent: SentConversion) -> None:
    """Raise InvalidRequest for what no job gives."""
    if sent.form.provenance is not None:
        raise InvalidRequest("'provenance' is not for a job: its sound comes as a file.", param="provenance")


def step_form(sent: SentConversion) -> ConversionForm:
    """Return the form of each step."""
    form, format_ = sent.form, sent.output.format
    if format_ in ENCODED:
        form = replace(form, sample_rate=sent.output.sample_rate_hz, bitrate=None)
    return replace(form, response_format=step_format(format_))


def of_form(form: ConversionForm, file: bytes = b"") -> SentConversion:
    return SentConversion(form, output_of(form), file)


FORM_FIELDS: frozenset[str] = frozenset(ConversionJobForm.__struct_fields__)
