"""A body or a request whose text is SSML, as one of a plain text: all that follows is as for a text."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from policies.lexicon import MOST_INLINE_WORDS
from proxy.errors import InvalidRequest
from proxy.speech.speech_body import SpeechBody, check_text
from proxy.speech.speech_request import SpeechRequest, checked_words
from proxy.text_rules.ssml import SsmlFault, SsmlText, read_ssml

_ROOT = "<speak>"


def body_of_ssml(body: SpeechBody, sent: Mapping[str, msgspec.Raw]) -> SpeechBody:
    """Return a body with the same speech without SSML. `sent` are its fields as they came,
    without defaults. Raises InvalidRequest."""
    if bytes(sent.get("markdown", b"null")) not in (b"null", b'"off"'):
        raise InvalidRequest("'markdown' can only be off with input_type ssml.", param="markdown")
    if body.emotion_tags == "text":
        raise InvalidRequest(
            "'emotion_tags' cannot be text with input_type ssml: its breaks become tags.",
            param="emotion_tags",
        )
    read = read_speech(body.input)
    made = replace(
        body,
        input=read.text,
        input_type="text",
        language=body.language or read.language,
        lexicon=lexicon_with(body.lexicon, read.words) if read.words else body.lexicon,
        markdown="off",
    )
    check_text(made)
    return made


def with_ssml(request: SpeechRequest, inside: str) -> SpeechRequest:
    """Return a request that says what is inside of a <speak>. Raises InvalidRequest."""
    document, lexicon = read_speech(inside, is_inside=True), request.lexicon
    if document.words:
        lexicon = checked_words(lexicon_with(lexicon, document.words), "lexicon", MOST_INLINE_WORDS)
    return replace(request, text=document.text, lexicon=lexicon)


def read_speech(ssml: str, *, is_inside: bool = False, is_lenient: bool = False) -> SsmlText:
    """Read a document, from the field `input`. If `is_inside`, read a `text` of a socket, which has no root.
    `is_lenient` is as in `read_ssml`. Raises InvalidRequest."""
    needs_root = is_inside or (is_lenient and not ssml.lstrip().startswith("<?"))
    root, param = _ROOT if needs_root else "", "text" if is_inside else "input"
    try:
        return read_ssml(f"{root}{ssml}</speak>" if root else ssml, is_lenient=is_lenient)
    except SsmlFault as fault:
        column = fault.column - len(root) * (fault.line == 1)
        message = f"Invalid '{param}': at line {fault.line}, column {column} of the SSML: {fault}."
        if fault.code == "unsupported_ssml":
            raise InvalidRequest(message, param=param, code="unsupported_ssml") from None
        raise InvalidRequest(message, param=param, code="invalid_ssml") from None


def lexicon_with(given: str | Mapping[str, str] | None, sounds: Mapping[str, str]) -> dict[str, str]:
    """Return a lexicon with the sounds that SSML has. Raises InvalidRequest."""
    if isinstance(given, str) and given.strip():
        raise InvalidRequest(
            "'lexicon' can only have entries, and no name, if the SSML has <phoneme>.", param="lexicon"
        )
    entries = dict(given) if isinstance(given, Mapping) else {}
    for word, sound in sounds.items():
        if entries.setdefault(word, sound) != sound:
            raise InvalidRequest(
                "Invalid value for 'lexicon': a word that <phoneme> has cannot have another entry.",
                param="lexicon",
            )
    return entries
