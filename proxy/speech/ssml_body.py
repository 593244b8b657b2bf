"""A body whose input is SSML, as the body of a text: all that follows is as for a text."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from policies.ssml import SsmlFault, SsmlText, read_ssml
from proxy.errors import InvalidRequest
from proxy.speech.speech_body import SpeechBody, check_text


def body_of_ssml(body: SpeechBody, sent: Mapping[str, msgspec.Raw]) -> SpeechBody:
    """Return the body that says the same without SSML. `sent` are its fields as they came. Raises
    InvalidRequest."""
    if bytes(sent.get("markdown", b"null")) not in (b"null", b'"off"'):
        raise InvalidRequest("'markdown' can only be off with input_type ssml.", param="markdown")
    if body.emotion_tags == "text":
        raise InvalidRequest(
            "'emotion_tags' cannot be text with input_type ssml: its breaks become tags.",
            param="emotion_tags",
        )
    try:
        read = read_ssml(body.input)
    except SsmlFault as fault:
        message = f"Invalid 'input': at line {fault.line}, column {fault.column} of the SSML: {fault}."
        if fault.code == "unsupported_ssml":
            raise InvalidRequest(message, param="input", code="unsupported_ssml") from None
        raise InvalidRequest(message, param="input", code="invalid_ssml") from None
    made = replace(
        body,
        input=read.text,
        input_type="text",
        language=body.language or read.language,
        lexicon=_lexicon(body.lexicon, read),
        markdown="off",
    )
    check_text(made)
    return made


def _lexicon(given: str | dict[str, str] | None, read: SsmlText) -> str | dict[str, str] | None:
    if not read.words:
        return given
    if isinstance(given, str) and given.strip():
        raise InvalidRequest(
            "'lexicon' can only have entries, and no name, if the SSML has <phoneme>.", param="lexicon"
        )
    entries = dict(given) if isinstance(given, dict) else {}
    for word, sound in read.words.items():
        if entries.setdefault(word, sound) != sound:
            raise InvalidRequest(
                "Invalid value for 'lexicon': a word that <phoneme> has cannot have another entry.",
                param="lexicon",
            )
    return entries
