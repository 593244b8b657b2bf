"""The shapes of the largest requests that are worst for what reads them.

`TEXTS` fill each long text of a body, `MORE` has what is worst for one schema alone, and `OF_FILES` the files
that a body names.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import Any

from proxy.http.form import MOST_FILE_BYTES
from tests.features.books.epubs import epub, xhtml
from tests.features.jobs.batches.rig import jsonl, line
from tests.proxy.http.described import Document
from tests.proxy.http.every_endpoint import Everything
from tests.proxy.http.largest import DROPPED, NAMES, Row, Shape, body_of, rows_of

_LEAST = 1000
"""A text that may be longer is given each shape."""


def _filled(unit: str, head: str = "", tail: str = "") -> Callable[[int], str]:
    return lambda most: head + unit * ((most - len(head) - len(tail)) // len(unit)) + tail


TEXTS: Mapping[str, Callable[[int], str]] = {
    "brackets": _filled("[b]\n", "[b]\nx\n", "end."),
    "open brackets": _filled("["),
    "newlines": _filled("\n", "x", "x"),
    "letters": _filled("a\n\n"),
    "sentences": _filled("A. "),
    "one word": _filled("a"),
    "tags": _filled("[happy] a "),
    "names": _filled(f"[{NAMES[0]}] a\n[{NAMES[1]}] b\n"),
    "pauses": _filled("[pause 1s] a\n"),
    "marks": _filled("a*_`#~|<>&-"),
    "figures": _filled("1.1.1,1 "),
    "no spaces": _filled("ไม่มีวรรค"),
    "accents": _filled("\u0301", "a"),
    "blanks": _filled(" \t", "a", "a"),
}
_ONE_TEXT = {"chapters": DROPPED, "files": DROPPED, "only": DROPPED}
_SSML: Mapping[str, Callable[[int], str]] = {
    "deep SSML": lambda most: "<speak>" + "<p>" * (n := (most - 17) // 7) + "a" + "</p>" * n + "</speak>",
    "many tags of SSML": _filled("<break/>", "<speak>a", "</speak>"),
    "SSML that never closes": _filled("<p ", "<speak>"),
}
_PREFIXES = {"a" * number: "b" * 200 for number in range(1, 100)}


def _chapters(text: str, title: str = "t") -> dict[str, Any]:
    return {"chapters": [{"title": title, "input": text}] * 500, "input": DROPPED}


def _book(name: str, file: str, data: bytes) -> Shape:
    return Shape(name, {}, {"input_file_id": (file, data)})


@cache
def _books() -> tuple[Shape, ...]:
    letters = "".join(f"<h2>{'a'}</h2><p>b</p>" for _ in range(49_000))
    deep = "<div>" * 190 + "a" + "</div>" * 190
    many = {f"d{number}.xhtml": xhtml("<h1>a</h1><p>b</p>") for number in range(300)}
    notes = "".join(f'<a epub:type="noteref" href="#n{each}">{each}</a>' for each in range(20_000))
    markdown = TEXTS["marks"](MOST_FILE_BYTES // 12)
    return (
        _book("a book of sections", "a.epub", epub({"d.xhtml": xhtml(letters)})),
        _book("a deep book", "a.epub", epub({"d.xhtml": xhtml(deep * 200)})),
        _book("a book of documents", "a.epub", epub(many)),
        _book("a book of notes", "a.epub", epub({"d.xhtml": xhtml(notes)})),
        _book("a book of one document", "a.epub", epub(_Again({"d.xhtml": xhtml("<p>a</p>" * 3000)}))),
        _book("a Markdown of headings", "a.md", b"# a\n\nb\n\n" * 100_000),
        _book("a Markdown of marks", "a.md", markdown.encode()),
        _book("a Markdown of lists", "a.md", b"".join(b"  " * (n % 100) + b"- a\n" for n in range(9000))),
        *(
            _book(f"a book of {name}", "a.txt", text(900_000 // (3 if name == "no spaces" else 1)).encode())
            for name, text in TEXTS.items()
        ),
    )


class _Again(dict[str, str]):
    """Documents, each of which the spine names 300 times."""

    def __iter__(self) -> Iterator[str]:
        return iter([*super().keys()] * 300)


def _cue(number: int, text: str, step_ms: int = 2000) -> str:
    def clock(ms: int) -> str:
        return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02},{ms % 1000:03}"

    return f"{number}\n{clock(number * step_ms)} --> {clock(number * step_ms + 1900)}\n{text}\n\n"


@cache
def _subtitles() -> tuple[Shape, ...]:
    texts = {
        "cues": "A line.",
        "cues of brackets": "[b]" * 100,
        "cues of names": f"{NAMES[0][:40]}: a",
        "cues of turns": "- a\n- b",
        "cues of tags": "<i>" * 100 + "a",
        "cues of open tags": "<" * 1500,
        "long cues": "A word. " * 240,
    }
    cast = {"cast": dict.fromkeys(NAMES, "alloy")}
    return tuple(
        Shape(
            name,
            {"voice": cast, "short_file_id": DROPPED, "original_file_id": DROPPED, "length_s": DROPPED},
            {"input_file_id": ("a.srt", "".join(_cue(each, text) for each in range(4_990)).encode())},
        )
        for name, text in texts.items()
    )


def _batches(field: str) -> tuple[Shape, ...]:
    return tuple(Shape(name, {}, {field: ("lines.jsonl", data)}) for name, data in _files().items())


@cache
def _files() -> dict[str, bytes]:
    texts = [text(4096) for text in TEXTS.values()]
    lines = [line(f"{each}", texts[each % len(texts)]) for each in range(500)]  # beside the 19,000 that wait
    deep = b'{"custom_id":"a","body":' + b"[" * 4_000_000 + b"]" * 4_000_000 + b"}"
    return {
        "lines of shapes": jsonl(*lines),
        "empty lines": b"\n" * MOST_FILE_BYTES,
        "short lines": b"{}\n" * (MOST_FILE_BYTES // 3),
        "a deep line": deep,
        "one line": b"1" * MOST_FILE_BYTES,
    }


_TEXT_JOB = {name: {**_ONE_TEXT, "input": text(1_000_000)} for name, text in TEXTS.items()}
_SPEECH: Mapping[str, Mapping[str, Any]] = {
    **{
        name: {"input": text(4096), "input_type": "ssml", "markdown": DROPPED, "voice": "alloy"}
        for name, text in _SSML.items()
    },
    "a lexicon of prefixes": {"lexicon": _PREFIXES, "input": "a" * 4096},
    "dropped tags": {"emotion_tags": "drop", "input": TEXTS["tags"](4096)},
}
_CHAPTERS = {
    "500 chapters of 41 letters": _chapters("a" * 41),
    "500 chapters of one letter": _chapters("a", ""),
    "500 chapters of sentences": _chapters(TEXTS["sentences"](2000)),
    "500 chapters of brackets": _chapters(TEXTS["brackets"](2000)),
    "500 chapters of letters": _chapters(TEXTS["letters"](2000)),
}
_JOBS = {
    **_TEXT_JOB,
    **_CHAPTERS,
    "brackets of a cast": {
        **_TEXT_JOB["brackets"],
        "voice": {"cast": {"b": "alloy", "c": "alloy"}},
    },
    "an only of the most": {**_chapters("a" * 41), "only": ",".join(["1-500"] * 285)},
}
_WORDS = {
    "words that begin alike": {"words": {"a" * 90 + f"{each:03}": "b" * 200 for each in range(1000)}},
    "words of signs": {"words": {f"({each}" + ".*+?[" * 18: "b" for each in range(1000)}},
    "words of prefixes": {"words": {"a" * (each % 90 + 1) + f"{each}": "b" for each in range(1000)}},
}
MORE: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    **dict.fromkeys(("SpeechBody", "ReferenceForm", "RouteQuestion"), _SPEECH),
    "JobBody": _JOBS,
    **dict.fromkeys(("LexiconBody", "NewLexicon"), _WORDS),
    "AgainBody": {
        "many steps": {"steps": [1] * 1000},
        "all chapters by words": {"steps": DROPPED, "only": ",".join(["1-9"] * 500)},
        "a hundred words": {"words": {f"{'a' * 90}{each:03}": "b" * 200 for each in range(100)}},
    },
    "TranscriptionForm": {"most keywords": {"keywords": ["k" * 7] * 1000, "prompt": DROPPED}},
    "TranscriptionJobForm": {"most keywords": {"keywords": ["k" * 7] * 1000, "prompt": DROPPED}},
}
_PARTS = Shape("the most parts", {f"part{number}": "x" * 16_000 for number in range(15)})
"""The most parts of a form, in all nearly the most bytes."""
_DEEP = Shape("a deep member", {}, {}, b"[" + b",".join([b"[" * 400 + b"]" * 400] * 100) + b"]")
OF_FILES: Mapping[str, Callable[[], Sequence[Shape]]] = {
    "BookBody": _books,
    "DubBody": _subtitles,
    "BatchBody": partial(_batches, "input_file_id"),
    "NewFile": partial(_batches, "file"),
}


def shaped_rows(served: Everything) -> Iterator[Row]:
    """The row of each request in its largest form, and then in each shape that is worst for it."""
    document = served.document
    for row in rows_of(served):
        yield row
        # The same code reads what comes by a short path, or from an operator.
        is_second = row.operation.id.endswith(("_by_short_path", "_of", "_saved_voice_sample"))
        if is_second or (row.schema is None and not row.files):
            continue
        for shape in (*_shapes_of(document, row), _PARTS if row.files else _DEEP):
            yield row._replace(shape=shape)


def _shapes_of(document: Document, row: Row) -> Iterator[Shape]:
    of_files = OF_FILES.get(row.schema_name)
    if row.schema is not None and of_files is None:
        body = body_of(document, row, {})
        fields = document["components"]["schemas"][row.schema_name].get("properties", {})
        most = {
            name: _most(of)
            for name, of in fields.items()
            if isinstance(body.get(name), str) and name != "url"  # a text of these shapes is no URL
        }
        long = {name: size for name, size in most.items() if size >= _LEAST}
        own = MORE.get(row.schema_name, {})
        for each, text in TEXTS.items() if long else ():
            if each not in own:
                yield Shape(each, {name: text(size) for name, size in long.items()})
    for each, changes in MORE.get(row.schema_name, {}).items():
        yield Shape(each, changes)
    if of_files is not None:
        yield from of_files()


def _most(described: Document) -> int:
    """The most characters of a free text."""
    parts = (described, *described.get("anyOf", ()))
    return max((each.get("maxLength", 0) for each in parts if "pattern" not in each), default=0)
