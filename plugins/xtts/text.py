"""Turn a segment into the model's tokens.

The server's front-ends have written numbers as words and cut the text into sentences. Here the model's own
cleaning follows, as in its training. Unknown letters are refused by name.
"""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import plugins.xtts.boot  # noqa: F401 - before TTS

# isort: split
from TTS.tts.layers.xtts.tokenizer import VoiceBpeTokenizer

from plugins.xtts.model_format import Sizes
from speech_engine.errors import UnsupportedLanguage, UnsupportedText
from speech_engine.text.cleaning import without_unknown

_UNKNOWN = "[UNK]"
_MARK = re.compile(r"\[[^\[\]\s]+\]")
_SPACES = re.compile(r"\s+")
_NEEDS = {"zh-cn": "pypinyin", "ja": "cutlet"}
"""The package that turns a language's characters into the sounds that the model learned."""


def readable_languages(languages: tuple[str, ...]) -> tuple[str, ...]:
    """Return the languages whose text can be read in this environment."""
    return tuple(
        language
        for language in languages
        if (needed := _NEEDS.get(language)) is None or find_spec(needed) is not None
    )


class TextReader:
    """Turns texts into tokens. `languages` are the model's own names."""

    def __init__(self, vocabulary: Path, languages: tuple[str, ...], sizes: Sizes) -> None:
        self._cleaner = VoiceBpeTokenizer()
        self._tokenizer = _tokenizer(vocabulary)
        self._languages = languages
        self._sizes = sizes
        self._unknown = self._tokenizer.token_to_id(_UNKNOWN)

    def tokens(self, text: str, language: str) -> list[int]:
        name = self._name_of(language)
        clean = self._clean(text, name)
        spelled = self._spell(clean)
        if self._unknown is not None and self._unknown in spelled:
            spelled = self._spell(without_unknown(clean, self._is_known))
        if set(spelled) <= {self._sizes.space}:
            raise UnsupportedText("The text has nothing that this model can speak.")
        ids = [self._tokenizer.token_to_id(f"[{name}]"), *spelled]
        # Two more tokens mark the beginning and the end.
        most = self._sizes.most_text - 2
        if len(ids) > most:
            raise UnsupportedText(f"A sentence has {len(ids)} tokens; this model reads {most}.")
        # On a GPU, a token beyond the table fails for all listeners.
        if max(ids) >= self._sizes.vocabulary:
            raise UnsupportedText("The text has a token that this model has not learned.")
        return ids

    def _name_of(self, language: str) -> str:
        base = language.split("-")[0].lower()
        name = "zh-cn" if base == "zh" else base
        if name not in self._languages:
            raise UnsupportedLanguage(f"This model does not speak the language {base!r}.")
        return name

    def _clean(self, text: str, name: str) -> str:
        if name == "th":
            # PyThaiNLP has prepared it. The model's own cleaning does not know the language.
            return _SPACES.sub(" ", text.lower()).strip()
        try:
            clean: str = self._cleaner.preprocess_text(text.strip().lower(), name.split("-")[0])
        except Exception:  # noqa: BLE001 - the seam around num2words: each of its languages raises errors of its own
            raise UnsupportedText(
                f"This model cannot read a number or a sign in this text as {name!r}; write it in words."
            ) from None
        return clean

    def _spell(self, clean: str) -> list[int]:
        """Return the tokens of a clean text. A mark in it, such as [es], is spelled."""
        ids: list[int] = []
        for number, word in enumerate(clean.split(" ")):
            ids += [self._sizes.space] if number else []
            ids += self._tokenizer.encode(word, add_special_tokens=False).ids
        return ids

    def _is_known(self, character: str) -> bool:
        return character == " " or self._unknown not in self._spell(character)


def _tokenizer(vocabulary: Path) -> Any:
    """Read a checked vocabulary. Texts cannot contain its marks, such as [es] or [STOP]."""
    from tokenizers import Tokenizer

    content = json.loads(vocabulary.read_text(encoding="utf-8"))
    content["added_tokens"] = [
        each | {"special": each.get("special") or bool(_MARK.fullmatch(each["content"]))}
        for each in content.get("added_tokens", ())
    ]
    # From a text, because for a path the library's error would not name the fault.
    made = Tokenizer.from_str(json.dumps(content | {"decoder": None}))
    # By this name the library means that marks in a text are spelled.
    made.encode_special_tokens = True
    return made
