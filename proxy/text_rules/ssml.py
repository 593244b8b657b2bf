"""SSML as a text: breaks become pauses, and sounds of words become entries of a lexicon.

Few elements are known. Others are refused by name, because half of what a writer asked for would be worse.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple
from xml.parsers import expat

from policies.lexicon import words_fault

MOST_LEVELS = 16
_INVALID_TOKEN = 4  # "not well-formed (invalid token)", mostly a sign that XML wants to be written otherwise
STRENGTHS_S = {"none": 0.0, "x-weak": 0.0, "weak": 0.25, "medium": 0.5, "strong": 1.0, "x-strong": 1.5}

Code = Literal["invalid_ssml", "unsupported_ssml"]

_TIME = re.compile(r"\s*\+?([0-9]{1,6}(?:\.[0-9]{1,6})?|\.[0-9]{1,6})(m?s)\s*", re.IGNORECASE | re.ASCII)
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")
_ELEMENTS = ("p", "s", "break", "sub", "phoneme")
_ROOT = re.compile(r"\s*(<\?[^>]*>\s*)?<speak[\s/>]")
_NO_MARKUP = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#[0-9]+|#x[0-9A-Fa-f]+);)|<(?![A-Za-z/?!])")
_PARAGRAPH = "\0"
"""The mark of a paragraph's end. No XML can have this character."""
_BLANKS = re.compile(r"[ \t\r\n\0]+")
_SENTENCE_ENDS = frozenset(".!?…。！？।؟៕")
_CLOSING = "\"'”’»›)]」』】》 \t\r\n"
_MOST_SHOWN = 40


class SsmlText(NamedTuple):
    """The text to speak, the sounds of words that `<phoneme>` gives, and the language, or ""."""

    text: str
    words: Mapping[str, str]
    language: str


class SsmlFault(Exception):
    """The SSML cannot be read. The message is a part of a sentence. `line` and `column` begin with 1."""

    def __init__(self, code: Code, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.code: Code = code
        self.line = line
        self.column = column


def read_ssml(ssml: str, *, is_lenient: bool = False) -> SsmlText:
    """Return the text of an SSML document. Raises SsmlFault. Nothing is fetched, and no entity is defined.

    With `is_lenient`, the document may be a text with some elements: it needs no root, an unknown element is
    replaced by its text, and `&` and `<` may stand for themselves.

    >>> read_ssml('R&B <loud>now</loud> <break time="1s"/>', is_lenient=True).text
    'R&B now [pause 1s]'
    """
    if is_lenient:
        ssml = _NO_MARKUP.sub(lambda found: "&amp;" if found[0] == "&" else "&lt;", ssml)
        if _ROOT.match(ssml) is None:
            ssml = f"<speak>{ssml}</speak>"
    return _Reading(is_lenient).read(ssml)


class _Reading:
    def __init__(self, is_lenient: bool) -> None:
        self._is_lenient = is_lenient
        # The document is a text already, so the encoding that it declares does not count.
        self._parser = expat.ParserCreate("utf-8")
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._refuse_dtd
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._add
        self._open = list[str]()
        self._pieces = list[str]()
        self._open_piece: int | None = None
        """The number of the last piece with words, if its sentence has not ended."""
        self._replaced: list[str] | None = None
        """The text within an element that is replaced, such as `<sub>`, or None outside of one."""
        self._sound, self._sound_at = "", (1, 1)
        self._words = dict[str, str]()
        self._language = ""

    def read(self, ssml: str) -> SsmlText:
        try:
            self._parser.Parse(ssml.encode("utf-8", "surrogatepass"), True)
        except expat.ExpatError as error:
            hint = "" if self._pieces or self._open else "; it must be one <speak> element"
            if error.code == _INVALID_TOKEN:
                hint += "; write & as &amp; and < as &lt;"
            message = f"{expat.ErrorString(error.code)}{hint}"
            raise SsmlFault("invalid_ssml", message, error.lineno, error.offset + 1) from None
        text = _BLANKS.sub(lambda found: "\n\n" if _PARAGRAPH in found[0] else " ", "".join(self._pieces))
        return SsmlText(text.strip(), self._words, self._language)

    @property
    def _position(self) -> tuple[int, int]:
        return self._parser.CurrentLineNumber, self._parser.CurrentColumnNumber + 1

    def _invalid(self, message: str) -> SsmlFault:
        return SsmlFault("invalid_ssml", message, *self._position)

    def _unsupported(self, what: str) -> SsmlFault:
        message = f"{what} is not supported: only speak, {', '.join(_ELEMENTS)} are"
        return SsmlFault("unsupported_ssml", message, *self._position)

    def _refuse_dtd(self, *_declared: object) -> None:
        raise self._invalid("it cannot have a DTD")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if not self._open and name != "speak":
            raise self._invalid("it must be one <speak> element")
        if self._replaced is not None:
            raise self._invalid(f"<{self._open[-1]}> can only have text")
        if len(self._open) == MOST_LEVELS:
            raise self._invalid(f"it has more than {MOST_LEVELS} levels")
        is_root = not self._open
        if not is_root and name == "speak" and not self._is_lenient:
            raise SsmlFault("unsupported_ssml", "<speak> is around it already: leave it out", *self._position)
        if not is_root and name not in _ELEMENTS and not self._is_lenient:
            raise self._unsupported(f"<{name[:_MOST_SHOWN]}>")
        self._open.append(name)
        language = attributes.get("xml:lang", self._language)
        if not is_root and self._is_lenient:
            language = self._language
        if not is_root and language != self._language:
            raise self._unsupported(f"'xml:lang' on <{name}>")
        if language and not _LANGUAGE.fullmatch(language):
            raise self._invalid("'xml:lang' must be a language tag such as pt-BR")
        self._language = language
        self._begin(name, attributes)

    def _begin(self, name: str, attributes: dict[str, str]) -> None:
        match name:
            case "p" | "s":
                self._end_sentence(name)
            case "break":
                self._pause(attributes)
            case "sub":
                self._add(self._needed(attributes, "alias"))
                self._replaced = []
            case "phoneme":
                if attributes.get("alphabet", "").lower() != "ipa":
                    if self._is_lenient:
                        return
                    raise self._unsupported("an 'alphabet' other than ipa")
                self._sound, self._sound_at = f"/{self._needed(attributes, 'ph')}/", self._position
                self._replaced = []

    def _end(self, name: str) -> None:
        self._open.pop()
        within, self._replaced = self._replaced, None
        if name in ("p", "s"):
            self._end_sentence(name)
        elif name == "phoneme" and within is not None:
            self._pronounce(" ".join("".join(within or ()).split()))

    def _add(self, text: str) -> None:
        if self._replaced is not None:
            self._replaced.append(text)
            return
        if text.strip():
            self._open_piece = len(self._pieces)
        self._pieces.append(text)

    def _needed(self, attributes: dict[str, str], name: str) -> str:
        if value := attributes.get(name, "").strip():
            return value
        raise self._invalid(f"<{self._open[-1]}> must have '{name}'")

    def _pause(self, attributes: dict[str, str]) -> None:
        time, strength = attributes.get("time"), attributes.get("strength", "medium")
        if strength not in STRENGTHS_S:
            raise self._invalid(f"'strength' must be one of {', '.join(STRENGTHS_S)}")
        seconds = STRENGTHS_S[strength]
        if time is not None:
            if (found := _TIME.fullmatch(time)) is None:
                raise self._invalid("'time' must be such as 250ms or 1.5s")
            seconds = float(found[1]) / (1000 if len(found[2]) > 1 else 1)
        shown = f"{seconds:.3f}".rstrip("0").rstrip(".")
        # Without the blank behind it, `(…)` would make it a link.
        self._pieces.append(f"[pause {shown}s] " if float(shown) else " ")

    def _pronounce(self, word: str) -> None:
        if (fault := words_fault({word: self._sound}, 1)) is not None:
            raise SsmlFault("invalid_ssml", f"<phoneme> must have {fault}", *self._sound_at)
        if self._words.setdefault(word, self._sound) != self._sound:
            raise SsmlFault("invalid_ssml", "a word cannot have two sounds", *self._sound_at)
        self._add(word)

    def _end_sentence(self, name: str) -> None:
        """End the text so far with a full stop, unless it ends with a mark of its own."""
        if self._open_piece is not None:
            sentence = self._pieces[self._open_piece].rstrip().rstrip(",;:")
            last = sentence.rstrip(_CLOSING)[-1:]
            if last and last not in _SENTENCE_ENDS:
                self._pieces[self._open_piece] = f"{sentence}{_full_stop(last)} "
            self._open_piece = None
        self._pieces.append(_PARAGRAPH if name == "p" else " ")


def _full_stop(last: str) -> str:
    """Return the full stop of the script of a letter."""
    if "\u0900" <= last <= "\u097f":
        return "।"
    return "。" if "\u3040" <= last <= "\u9fff" else "."
