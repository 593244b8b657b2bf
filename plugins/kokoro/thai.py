"""Reads Thai, which has no blanks between words: a dictionary with sounds finds the words and says them.

`thai_rules` reads what the dictionary lacks, and `thai_english` Latin letters. The sounds are those of a
Kokoro that learned Thai. In them a full stop is the border of two syllables, so phrases are told apart
before.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from string import ascii_uppercase
from typing import Literal, NamedTuple

from plugins.kokoro.thai_english import thai_sounds
from plugins.kokoro.thai_rules import network_sounds, read_word
from plugins.kokoro.word_places import Phrase
from speech_engine.text.sounds import Phonemize, WordPlace

# A cluster cannot be cut: signs stay with their letter, and a vowel that is written before it, too.
_UNIT = re.compile(r"[เแโใไ]?[ก-ฮ][ัิ-ฺ็-๎]*[ะาำๅ]?(?:[ก-ฮ][ิุ]?์)?|[A-Za-zÀ-ɏ]+(?:['’][A-Za-z]+)*|\s+|.", re.DOTALL)
_THAI = re.compile("[ก-ฮะ-ฺเ-ๅ็-๎]")
_MOST_UNREAD = 40
"""The letters of the longest word that is read by rule."""
_LONG = 60
"""A word with more sounds is said as its syllables, between which a long text can be cut."""
_LEAST_SOUNDS = 20
"""The shortest phrase. A blank behind fewer sounds is no pause."""

_WORD, _COMMON, _UNREAD, _LETTER, _TOO_MUCH = 20, 13, 30, 10, 1 << 60
"""The costs of a word, of a common one, of a word that the dictionary lacks, and of each letter of that."""
_COMMON_WORDS = (
    "ตั้งแต่ เช้า เย็น ก็ กว่า กับ การ กัน กำลัง ของ ขอ ขึ้น เขา เข้า ความ คน ครับ คะ ค่ะ คือ คุณ เคย จะ "
    "จาก จึง จน ฉัน ชาม ใช้ ซึ่ง ด้วย ได้ ดี โดย ต้อง ตัว ตาม แต่ ตอน ถึง ถ้า ถูก ที่ ทำ ทั้ง ทุก เธอ นะ "
    "นั้น นี้ ใน น้อง บ้าน บาท บาง เป็น ไป ปี ผม พี่ พ่อ เพราะ เพื่อ มา มาก มี แม่ เมื่อ ไม่ ยัง อยู่ "
    "อย่า อยาก และ ละ แล้ว เรา เรือ ว่า วัน สอง สาม หนึ่ง สิบ ให้ หรือ หา หลาย หน้า ออก อะไร อีก เอา นาย "
    "นาง ราคา เวลา ตา ยาย ลูก รถ น้ำ กิน ดู พูด บอก รู้ เห็น คิด"
)
_COMMONS = frozenset(_COMMON_WORDS.split())
_DIGITS = "ศูนย์ หนึ่ง สอง สาม สี่ ห้า หก เจ็ด แปด เก้า"
_LETTERS = "เอ บี ซี ดี อี เอฟ จี เอช ไอ เจ เค แอล เอ็ม เอ็น โอ พี คิว อาร์ เอส ที ยู วี ดับเบิลยู เอ็กซ์ วาย แซด"
_SPELT = 3
"""Capitals up to this number are said by their names, and any that have no vowel."""
_SENTENCE_ENDS, _CLAUSE_ENDS = "!?…\n\r\u2028\u2029", ",;:()[]\u2013\u2014"
_REPEAT, _MOST_REPEATS = "ๆ", 3
"""The sign that says a word again, and how many of them in a row do: a word may be as long as a text."""


class _Token(NamedTuple):
    """A word of a text, or what stands between two words."""

    start: int
    end: int
    text: str


class ThaiReader:
    """`words` have their sounds as the dictionary writes them. Of the sounds, only `symbols` are said."""

    def __init__(self, words: Mapping[str, str], symbols: Mapping[str, int], phonemize: Phonemize) -> None:
        self._words = words
        self._symbols = symbols
        self._phonemize = phonemize
        # By the first three letters: a bit for each length of a word, so that few parts of a text are looked
        # up.
        self._lengths: dict[str, int] = {}
        for word in words:
            self._lengths[word[:3]] = self._lengths.get(word[:3], 0) | 1 << len(word)
        read_word("ก")  # its forms are compiled once

    def read(self, text: str, espeak: str) -> Iterator[Phrase]:
        """Yield the phrases of a text. `espeak` is espeak-ng's name of the language of its Latin words."""
        tokens = self.cut(text)
        sentence, sounds, words, last = list[Phrase](), list[str](), list[WordPlace](), ""
        repeats = 0
        for number, token in enumerate(tokens):
            if token.text == _REPEAT:
                repeats += 1
                said = last if repeats <= _MOST_REPEATS else ""
            else:
                said = self._say(token.text, espeak)
            if said:
                repeats = repeats if token.text == _REPEAT else 0
                last = said
                sounds += [" "] * bool(sounds)
                words.append(WordPlace(len(sounds), token.start, token.end))
                sounds += said
                continue
            border = _border(tokens, number)
            if border == "clause" and len(sounds) >= _LEAST_SOUNDS:
                sentence.append(Phrase(sounds, tuple(words), "clause"))
                sounds, words = [], []
            if border == "sentence":
                yield from _finished(sentence, sounds, words)
                sentence, sounds, words = [], [], []
        yield from _finished(sentence, sounds, words)

    def cut(self, text: str) -> list[_Token]:
        """Cut a text into its words, so that they cost least."""
        ends = [0, *(found.end() for found in _UNIT.finditer(text))]
        places = {end: number for number, end in enumerate(ends)}
        # The least cost of the text up to each place, where its last part begins, and the same if that part
        # is a word that the dictionary lacks.
        best = [(0, 0), *[(_TOO_MUCH, 0)] * (len(ends) - 1)]
        unread = [(_TOO_MUCH, 0)] * len(ends)
        for place, (begin, end) in enumerate(pairwise(ends)):
            cost = best[place][0]
            for last in self._ends_of_words(text, begin):
                if (at := places.get(last)) is not None:
                    total = cost + (_COMMON if text[begin:last] in _COMMONS else _WORD)
                    best[at] = min(best[at], (total, place))
            if _THAI.match(text, begin):
                longer, start = min(unread[place], (cost + _UNREAD, place))
                unread[place + 1] = longer + _LETTER * (end - begin), start
                best[place + 1] = min(best[place + 1], unread[place + 1])
            else:
                best[place + 1] = min(best[place + 1], (cost, place))
        tokens, place = list[_Token](), len(ends) - 1
        while place:
            start = best[place][1]
            tokens.append(_Token(ends[start], ends[place], text[ends[start] : ends[place]]))
            place = start
        return tokens[::-1]

    def _ends_of_words(self, text: str, begin: int) -> Iterator[int]:
        """Yield the ends of the dictionary's words that begin here."""
        find = self._lengths.get
        lengths = find(text[begin], 0) | find(text[begin : begin + 2], 0) | find(text[begin : begin + 3], 0)
        while lengths:
            shortest = lengths & -lengths
            lengths ^= shortest
            end = begin + shortest.bit_length() - 1
            if text[begin:end] in self._words:
                yield end

    def _say(self, text: str, espeak: str = "") -> str:
        """Return the sounds of a word, or "" for what is silent."""
        if (ipa := self._words.get(text)) is not None:
            sounds = network_sounds(ipa)
        elif text.isdecimal():
            sounds = self._say(_DIGITS.split()[unicodedata.digit(text)])
        elif _THAI.match(text):
            parts = range(0, len(text), _MOST_UNREAD)
            sounds = " ".join(filter(None, (read_word(text[at : at + _MOST_UNREAD]) for at in parts)))
        elif text[0].isalpha():
            sounds = self._say_latin(text, espeak)
        else:
            return ""
        known = "".join(filter(self._symbols.__contains__, sounds))
        return known.replace(".", " ") if len(known) > _LONG else known

    def _say_latin(self, word: str, espeak: str) -> str:
        has_vowel = any(letter in "aeiouyAEIOUY" for letter in word)
        sounds = ""
        if has_vowel and not (word.isupper() and len(word) <= _SPELT):
            spoken = self._phonemize(word[:_MOST_UNREAD], espeak, ())
            sounds = thai_sounds("".join(sound for sentence in spoken for sound in sentence))
        plain = unicodedata.normalize("NFD", word[:_MOST_UNREAD]).upper()
        names = dict(zip(ascii_uppercase, _LETTERS.split(), strict=True))
        return sounds or ".".join(self._say(names[letter]) for letter in plain if letter in names)


def _border(tokens: Sequence[_Token], number: int) -> Literal["", "clause", "sentence"]:
    """Tell what ends at a token that is silent. A blank ends a clause only between two Thai words."""
    sign = tokens[number].text
    before, after = (tokens[at].text if 0 <= at < len(tokens) else "" for at in (number - 1, number + 1))
    if any(map(sign.__contains__, _SENTENCE_ENDS)) or (sign == "." and not after.strip()):
        return "sentence"
    if sign in _CLAUSE_ENDS or (sign.isspace() and _THAI.match(before) and _THAI.match(after)):
        return "clause"
    return ""


def _finished(sentence: list[Phrase], sounds: list[str], words: list[WordPlace]) -> list[Phrase]:
    """Return the phrases of a sentence. A short last one joins the one before it."""
    if sounds and sentence and len(sounds) < _LEAST_SOUNDS:
        before = sentence.pop()
        offset = len(before.sounds) + 1
        words = [*before.words, *(word._replace(sound=word.sound + offset) for word in words)]
        sounds = [*before.sounds, " ", *sounds]
    if sounds:
        sentence.append(Phrase(sounds, tuple(words)))
    return [*sentence[:-1], *(each._replace(ends="sentence") for each in sentence[-1:])]
