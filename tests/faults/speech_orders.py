"""Requests for speech that mix everything a client may ask for, made by a seeded generator.

Most are good, some are good and hard, and some are wrong in one field.
"""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

SAVED = ("en", "lo", "names", "sounds")
"""The names of the lexicons that every account has from the beginning."""
_SPEECH = "/v1/audio/speech"
_RECENT = 40
_SHORT, _LONG = 30, 200

_SCRIPTS: dict[str, tuple[str, ...]] = {
    "en": ("word", "after", "a", "Dr.", "3:45", "colonel", "don't", "$5.00", "end."),
    "pt": ("bom", "dia", "às", "10h", "coração", "R$", "1.234,56", "vocês,", "fim."),
    "th": ("สวัสดี", "ครับ", "ภาษาไทย", "น้ำ", "๑๒๓", "เเละ", "ฯลฯ", "ๆ"),
    "lo": ("ສະບາຍດີ", "ຂອບໃຈ", "ພາສາລາວ", "ນໍ້າ", "໑໒໓"),
    "ja": ("今日", "は", "東京", "です。", "カタカナ"),
    "ar": ("مرحبا", "بالعالم", "١٢٣", "\u200fنص\u200e"),
    "emoji": ("👩‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "😀" * 9, "1️⃣", "🇵🇹"),
    "marks": (
        "a" + "\u0301" * 30,
        "Z\u0351\u0343\u0332\u0321",
        "\u0e33" * 20,
        "\u200b\u200d\ufeff",
        "é",
        "ﬁ",
    ),
    "signs": ("**", "__", "`", "«»", "…", "—", "://", "&amp;", "<b>", "|", "\\", "\x0b", "\x00", "''"),
}
_MARKDOWN = (
    *(
        "**bold**",
        "__x__",
        "# Title\n",
        "- one\n- two\n",
        "1. first\n2. second\n",
        "`code`",
        "```\nfenced\n```\n",
    ),
    *(
        "[text](https://a.example/b)",
        "https://a.example/x?y=1",
        "![](x)",
        "> quoted\n",
        "| a | b |\n|---|---|\n",
    ),
    *(
        "*" * 40,
        "_" * 41,
        "[" * 40,
        "`" * 39,
        "> " * 30,
        "- " * 30,
        "![[](" * 12,
        "\n\n---\n\n",
        "2 * 3",
        "C#",
    ),
)
_FORMATS = (
    "mp3",
    "mp3",
    "opus",
    "aac",
    "flac",
    "wav",
    "pcm",
    "pcm",
    "g711_ulaw",
    "g711_alaw",
    "json",
    "json",
)
_QUICK_FORMATS = ("pcm", "wav", "g711_ulaw")
_VOICES = ("alloy", "ada", "ben", "tone/tone", "espeak/f3", "espeak/m3", "tone/second", "alloy")
_NAMES = ("Ana", "Ben", "น้ำ", "ສາວ", "Zoë", "A B", "x" * 64, "1", "é", "👩", "c", "d", "e", "f", "g", "h")
_TAGS = ("en", "pt-BR", "th", "lo", "ja", "ar", "auto", "auto", "auto", "", "en-GB", "zh", "AUTO", "es-419")
_IPA = "aeiouəɪʊɔɛŋʃʒθðˈˌː"

_WRONG: dict[str, tuple[Any, ...]] = {
    "model": ("nobody", "", None, 7, "tone/none", "x" * 300, "\ud800"),
    "input": ("", " \n\t", None, [], "y" * 4097, "\u200b", "\x00", "\ud800 alone", "٪" * 30),
    "voice": ("nobody", {}, {"id": "alloy", "cast": {"A": "alloy"}}, {"cast": {}}, {"cast": {"A": "nobody"}}),
    "response_format": ("mp4", "", 1, "MP3 "),
    "audio_format": ("json", 0),
    "sample_rate": (0, 44_101, "16000", 1.5),
    "bitrate": (0, 9, 320, 10**30, -8),
    "speed": (0, 0.2, 4.01, -1, 10**400, "1", True),
    "stream_format": ("sses", 1),
    "language": ("xx", "e", "en_US", "en-\r\nx", "x" * 36, "tlh", "auto-x"),
    "pitch": (13, -12.5, "up"),
    "emotion": ("", "x" * 65, "furious"),
    "seed": (-1, 2**32, 0.5),
    "lexicon": ("nobody", ["a"], {"": "x"}, {"a": ""}, {"a": "\n"}, {"x" * 101: "y"}, {"a": "y" * 201}),
    "markdown": ("yes", True),
    "code": ("no", True),
    "cache": ("true", 1),
    "provenance": ("c2PA", {}),
    "instructions": ("i" * 4097, 3),
}


class SpeechOrder(NamedTuple):
    """A request. The client `leaves` after so many bytes of the answer, if that is not None."""

    account: int
    method: str
    path: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    leaves: int | None = None

    def __repr__(self) -> str:
        return f"<SpeechOrder {self.method} {self.path} {self.headers} {self.body[:2000]!r}>"


def orders(numbers: random.Random, count: int, accounts: int) -> Iterator[SpeechOrder]:
    """Yield so many wishes. Some are asked for again, with or without their Idempotency-Key."""
    recent: list[SpeechOrder] = []
    for _ in range(count):
        kind = numbers.random()
        if kind < 0.03:
            yield _change(numbers, numbers.randrange(accounts))
        elif recent and kind < 0.15:
            yield _again(numbers, numbers.choice(recent))
        else:
            wish = _wish(numbers, numbers.randrange(accounts))
            recent = [*recent[-_RECENT:], wish]
            yield wish


def saved_words(numbers: random.Random, name: str) -> dict[str, str]:
    """The words of a lexicon that an account has: each of a kind of its own."""
    match name:
        case "lo":
            return {"ກ" * length: "ຂ" * 190 for length in range(1, 60)}
        case "sounds":
            return {word: f"/a{_letters(numbers, _IPA, 60)}/" for word in _alike(numbers, 300)}
        case "names":
            return {word: _letters(numbers, "กขคงจ", 200) for word in _alike(numbers, 900)}
    return {word: " ".join(numbers.choices(_SCRIPTS["pt"], k=9)) for word in _SCRIPTS["en"]}


def _change(numbers: random.Random, account: int) -> SpeechOrder:
    name = numbers.choice((*SAVED, "th", "pt-br", "no name", "spare"))
    if numbers.random() < 0.2:
        return SpeechOrder(account, "DELETE", f"/v1/lexicons/{name.replace(' ', '%20')}", b"")
    body = {"words": saved_words(numbers, name) if numbers.random() < 0.7 else _lexicon(numbers)}
    return SpeechOrder(account, "PUT", f"/v1/lexicons/{name.replace(' ', '%20')}", _json(numbers, body))


def _again(numbers: random.Random, wish: SpeechOrder) -> SpeechOrder:
    kind = numbers.random()
    if kind < 0.1:
        return wish._replace(body=wish.body + b" ", leaves=None)
    return wish._replace(leaves=None if kind < 0.8 else 500)


def _wish(numbers: random.Random, account: int) -> SpeechOrder:
    body: dict[str, Any] = {
        "model": numbers.choice(("tone", "tts-1", "spoken", "spoken", "both")),
        "voice": "alloy",
    }
    body["voice"], cast = _voice(numbers)
    body["input"] = _input(numbers, cast)
    # What takes seconds to encode is not what this is about.
    body["response_format"] = numbers.choice(_FORMATS if len(body["input"]) <= _SHORT else _QUICK_FORMATS)
    for field, value in _OPTIONAL.items():
        if numbers.random() < 0.25:
            body[field] = value(numbers)
    if body["response_format"] == "json" and numbers.random() < 0.9:
        body.pop("stream_format", None)
    elif body["response_format"] in ("wav", "mp3", "flac") and "stream_format" not in body:
        body["provenance"] = "c2pa" if numbers.random() < 0.3 else None
    if numbers.random() < 0.02:
        body["model"], body["voice"] = "faulty", f"faulty/{numbers.choice(_FAULTS)}"
    leaves = numbers.choice((0, 1, 3_000, 40_000)) if numbers.random() < 0.1 else None
    # A long one is about what comes before its first byte.
    is_left = len(body["input"]) > _LONG and numbers.random() < 0.95
    if is_left:
        leaves = 1
    if numbers.random() < 0.12:
        field = numbers.choice([*_WRONG])
        body[field] = numbers.choice(_WRONG[field])
    headers = []
    # With a key, the server would speak on after its client has left.
    if numbers.random() < 0.2 and not is_left:
        headers.append(("idempotency-key", _letters(numbers, "abc-", 24)))
    if numbers.random() < 0.03:
        headers.append(("x-voxgate-pace", "live"))
    return SpeechOrder(account, "POST", _SPEECH, _json(numbers, body), tuple(headers), leaves)


_FAULTS = (
    "fail",
    "fail-late",
    "unavailable",
    "busy",
    "refuse",
    "no-language",
    "no-text",
    "no-finish",
    "bug",
    "silent",
)


def _voice(numbers: random.Random) -> tuple[Any, tuple[str, ...]]:
    """A voice, and the names of its cast."""
    kind = numbers.random()
    if kind < 0.7:
        return numbers.choice(_VOICES), ()
    if kind < 0.75:
        return {"id": numbers.choice(_VOICES)}, ()
    if kind < 0.8:
        members = numbers.sample(("alloy", "ada", "tone/tone", "tone/second"), numbers.randint(1, 3))
        return {"mix": [{"id": each, "weight": numbers.choice((1, 0.5, 1000, 1e-9))} for each in members]}, ()
    names = tuple(numbers.sample(_NAMES, numbers.choice((1, 2, 2, 3, 16))))
    return {"cast": {name: numbers.choice(("alloy", "ada", "ben")) for name in names}}, names


def _input(numbers: random.Random, cast: Sequence[str]) -> str:
    most = numbers.choices((24, 80, 300, 4095), (60, 33, 5, 2))[0]
    if not cast:
        return text(numbers, most)
    turns = numbers.randint(1, max(1, most // 12))
    parts = (f"[{numbers.choice(cast)}] {text(numbers, numbers.randint(2, 30))}" for _ in range(turns))
    return " ".join(parts)[:4096]


def text(numbers: random.Random, most: int) -> str:
    """A text of at most so many characters: of one script, of several, of marks, or of one thing for ever."""
    kind = numbers.random()
    if kind < 0.12:
        once = numbers.choice(
            (*numbers.choice([*_SCRIPTS.values()]), "a ", "7 ", "1", "a", "ก", "\u0301", "» ", "-")
        )
        return (once * most)[: numbers.randint(1, most)]
    scripts = [_SCRIPTS["en"]] if kind < 0.4 else numbers.sample([*_SCRIPTS.values()], numbers.randint(1, 3))
    words: list[str] = []
    while sum(map(len, words)) < most:
        words.append(numbers.choice(_MARKDOWN if numbers.random() < 0.1 else numbers.choice(scripts)))
    return numbers.choice((" ", " ", " ", "", "\n")).join(words)[:most]


def _lexicon(numbers: random.Random) -> dict[str, str]:
    match numbers.randrange(5):
        case 0:
            words = _alike(numbers, numbers.randint(1, 98))
            return {"a": "ก" * 200, **{word: f"/a{_letters(numbers, _IPA, 60)}/" for word in words}}
        case 1:
            return {"ก" * length: "ข" * 190 for length in range(1, numbers.randint(2, 60))}
        case 2:
            return {word: word * 3 for script in _SCRIPTS.values() for word in script if word.strip()}
        case 3:
            return {str(number): text(numbers, 200) for number in range(numbers.choice((1, 100, 101)))}
    return {numbers.choice(_SCRIPTS["en"]): numbers.choice(("x", "/wɜːd/", "(wo3)(men2)", "word word"))}


def _alike(numbers: random.Random, count: int) -> list[str]:
    """Different words with a beginning in common."""
    letter = numbers.choice("aอກ")
    return [letter * numbers.randint(1, 90) + str(number) for number in range(count)]


def _letters(numbers: random.Random, alphabet: str, most: int) -> str:
    return "".join(numbers.choices(alphabet, k=numbers.randint(1, most)))


def _json(numbers: random.Random, body: object) -> bytes:
    return json.dumps(body, ensure_ascii=numbers.random() < 0.3).encode("utf-8", "surrogatepass")


_OPTIONAL: dict[str, Callable[[random.Random], Any]] = {
    "audio_format": lambda numbers: numbers.choice(("pcm", "wav", "g711_alaw", "flac")),
    "sample_rate": lambda numbers: numbers.choice((8000, 16000, 24000, 24000, 48000)),
    "bitrate": lambda numbers: numbers.choice((32, 64)),
    "speed": lambda numbers: numbers.choice((0.25, 1.0, 1.3, 2.0, 4.0, 4.0)),
    "stream_format": lambda numbers: numbers.choice(("audio", "sse", "words")),
    "language": lambda numbers: numbers.choice(_TAGS),
    "pitch": lambda numbers: numbers.choice((0, 0, 0, 1.5)),
    "emotion": lambda numbers: numbers.choice(("neutral",)),
    "seed": lambda numbers: numbers.randrange(2**32),
    "lexicon": lambda numbers: numbers.choice((*SAVED, "none", _lexicon(numbers), _lexicon(numbers))),
    "markdown": lambda numbers: numbers.choice(("auto", "off", "on")),
    "code": lambda numbers: numbers.choice(("skip", "read")),
    "cache": lambda numbers: numbers.random() < 0.7,
    "instructions": lambda numbers: text(numbers, 100),
    "ref_text": lambda numbers: numbers.choice(("words", None, 7, {"a": [[]]})),
}
