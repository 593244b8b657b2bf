"""Turn texts into chunks of at most fifty tokens, as the package does.

The server's front-ends have written numbers as words and cut the text into sentences. Unknown letters are
refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from pocket_tts.models.text_chunking import prepare_text_prompt, split_into_best_sentences

from plugins.pocket.networks import Networks
from plugins.pocket.sizes import PocketSizes
from speech_engine.errors import UnsupportedText
from speech_engine.text.cleaning import without_unknown

_APOSTROPHES: Final = dict.fromkeys("’‘", "'")
_QUOTES: Final = dict.fromkeys('"“”„«»', "")
_BRACKETS: Final = dict.fromkeys("()[]", "")


class Preparation(NamedTuple):
    """The package's preparation of texts in one language: `replaces` maps characters to texts."""

    replaces: Mapping[str, str] = {}
    removes_semicolons: bool = False


_ENGLISH: Final = Preparation(_APOSTROPHES)
_ENGLISH_OF_SMALL: Final = Preparation(_APOSTROPHES | dict.fromkeys("–—", ","))
_OTHERS: Final = _APOSTROPHES | _QUOTES | _BRACKETS | {"–": ","}
_BY_LANGUAGE: Final = {
    "en": _ENGLISH,
    "fr": Preparation(_OTHERS | {":": ","}, removes_semicolons=True),
    "de": Preparation(_OTHERS | {"—": ","}, removes_semicolons=True),
    "es": Preparation(_OTHERS | dict.fromkeys("¡¿", "")),
    **dict.fromkeys(("it", "pt", "nl"), Preparation(_OTHERS)),
}


def preparation_of(language: str, sizes: PocketSizes) -> Preparation:
    """Return the preparation for a model of this language. For an unknown language it is empty."""
    base = language.split("-")[0].lower()
    if base == "en" and sizes.z:
        return _ENGLISH_OF_SMALL
    return _BY_LANGUAGE.get(base, Preparation())


CHUNK_TOKENS: Final = 50
MOST_TOKENS: Final = 200
"""The limit of a chunk without a place to cut. Longer chunks of fifty tokens may skip words."""
_MORE_FRAMES: Final = 2
_NOTHING: Final = "The text has nothing that this model can speak."


class Chunk(NamedTuple):
    """A part of a text that is spoken at once. `frames_after` frames follow the model's end."""

    tokens: tuple[int, ...]
    frames_after: int

    def __repr__(self) -> str:
        return f"<Chunk of {len(self.tokens)} tokens>"


class TextReader:
    def __init__(self, networks: Networks, preparation: Preparation) -> None:
        self._tokenizer = networks.tokenizer
        self._token_count = networks.sizes.tokens
        self._translation = str.maketrans(dict(preparation.replaces))
        self._options: dict[str, Any] = {
            "pad_with_spaces_for_short_inputs": networks.sizes.pads_short,
            "remove_semicolons": preparation.removes_semicolons,
            "replace_characters": dict(preparation.replaces),
        }
        self._unknown = unknown_token(self._tokenizer)

    def chunks(self, text: str) -> tuple[Chunk, ...]:
        """Return the chunks of a text. Raise UnsupportedText."""
        # Half a character cannot be written as UTF-8, and \uffff begins the names of marks.
        clean = text.encode(errors="replace").decode().replace("\uffff", " ")
        try:
            prepared, _ = prepare_text_prompt(clean, **self._options)
            if self._unknown is not None and self._unknown in self._tokenizer.encode(prepared):
                clean = without_unknown(clean, self._is_known)
                if not any(map(str.isalnum, clean)):
                    raise UnsupportedText(_NOTHING)
            parts = split_into_best_sentences(self._tokenizer, clean, CHUNK_TOKENS, **self._options)
            return tuple(self._chunk(part) for part in parts)
        except (ValueError, IndexError):
            # The package cannot begin with a text without a letter.
            raise UnsupportedText(_NOTHING) from None
        except BaseException as error:  # the seam around a library in Rust, whose panics are no Exception
            if type(error).__name__ != "PanicException":
                raise
            raise UnsupportedText("This model's vocabulary cannot read this text.") from None

    def _chunk(self, part: str) -> Chunk:
        prepared, more = prepare_text_prompt(part, **self._options)
        tokens = tuple(self._tokenizer.encode(prepared))
        if not tokens:
            raise UnsupportedText(_NOTHING)
        if len(tokens) > MOST_TOKENS:
            raise UnsupportedText(f"A sentence has {len(tokens)} tokens; this model reads {MOST_TOKENS}.")
        if max(tokens) >= self._token_count:
            raise UnsupportedText("The text has a token that this model has not learned.")
        return Chunk(tokens, more + _MORE_FRAMES)

    def _is_known(self, character: str) -> bool:
        read = character.translate(self._translation)
        return not read.strip() or self._unknown not in self._tokenizer.encode(read)


def unknown_token(tokenizer: Any) -> int | None:
    """Return the token for unknown characters, or None if the vocabulary spells them in bytes."""
    # The library has no other way to learn it. No vocabulary has this character.
    found = tokenizer.encode("\U0010fffd")
    return found[-1] if 0 < len(found) <= 2 else None
