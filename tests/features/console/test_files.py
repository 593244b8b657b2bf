"""The files of the console: its texts in each language, and what lies in it unchanged from elsewhere."""

import asyncio
import gzip
import hashlib
import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import get_args

from policies.price import Operation, Per
from policies.text_tags import EMOTIONS
from proxy.features import console
from proxy.features.books.reading.book import Rule
from proxy.features.consents.records import Words
from proxy.features.console.files import console as served
from proxy.features.console.files import open_console
from proxy.features.estimates.endpoint import SubstituteReason
from proxy.features.jobs.core.bodies import Status
from proxy.features.jobs.core.m4b_facts import KBITS
from proxy.features.jobs.core.records import Waits
from proxy.features.payments.rules import OrderState
from proxy.features.voice_list.voice_samples import Pace, Pitch
from speech_engine.training import Stage

WEB = Path(console.__file__).with_name("web")
_SCRIPTS = {
    path.relative_to(WEB).as_posix(): path.read_text()
    for path in WEB.rglob("*.js")
    if "vendor" not in path.parts
}
_TEXTS: dict[str, dict[str, str]] = {
    path.stem: json.loads(path.read_text()) for path in (WEB / "texts").glob("*.json")
}
_MOST_TEXTS = 1_000
_PLURAL = re.compile(r"\.(zero|one|two|few|many|other)$")
_LIST = r"const {name} = \[(.*?)\];"
_CALL = re.compile(r"""\bt\(\s*(?:[^"'`()]*\?\s*)?(["'`])([^"'`]*?)\1(?:\s*:\s*["']([^"']+)["'])?""")


def _used() -> tuple[set[str], set[str]]:
    """Return the keys in the scripts, and the beginnings of those that are put together."""
    keys: set[str] = set()
    beginnings: set[str] = set()
    for text in _SCRIPTS.values():
        for _, key, other in _CALL.findall(text):
            for each in filter(None, (key, other)):
                (beginnings if "${" in each else keys).add(each.partition("${")[0])
    return keys, beginnings


def _list(file: str, name: str) -> list[str]:
    """Return the texts in a constant list of a script."""
    (found,) = re.findall(_LIST.format(name=name), _SCRIPTS[file], re.DOTALL)
    return [each for each in re.findall(r'"([^"]*)"', found) if each]


def _values() -> dict[str, Collection[str]]:
    """Return what may follow the beginning of a key that is put together, by the scripts or by the server."""
    (loaded,) = re.findall(r"const LOADED = \{(.*?)\};", _SCRIPTS["core/frame.js"], re.DOTALL)
    pages = re.findall(r'([\w/]+)"?:', loaded)
    return {
        "player.": ["wrong", "unsure"],
        "speak.substitute.": get_args(SubstituteReason),
        "gender.": _list("core/picker.js", "GENDERS"),
        "gender.words.": _list("core/picker.js", "GENDERS"),
        "picker.": [*_list("core/picker.js", "GROUPS"), "language", "accent", "gender", "pitch"],
        "picker.any_": ["language", "accent", "gender", "pitch"],
        "voices.": ["all", "own", "starred"],
        "voices.none_": ["own", "starred"],
        "pitch.": get_args(Pitch),
        "pace.": get_args(Pace),
        # The frame names those to which it leads, and tabs name others.
        "frame.": {
            *_list("core/frame.js", "LINKS"),
            *(each for each in pages if f"frame.{each}" in _TEXTS["en"]),
        },
        "frame.jobs/": ["book", "dub"],
        "limit.": [*_list("pages/account.js", "LIMITS"), *_list("pages/account.js", "OF_PLANS")],
        "limit.n.": _list("pages/account.js", "LIMITS"),
        "price.": _list("pages/account.js", "PRICES"),
        "price.per.": get_args(Per),
        "admin.budget.": ["day", "month"],
        "admin.act.": ["grant", "correct", "suspend", "resume"],
        "admin.then.": ["suspend", "resume"],
        "jobs.": ["batch", "cut"],
        "jobs.fault.": [
            key.removeprefix("jobs.fault.") for key in _TEXTS["en"] if key.startswith("jobs.fault.")
        ],
        "jobs.rule.": get_args(Rule),
        "jobs.notes.": _list("pages/jobs_book.js", "NOTES"),
        "jobs.quality.": KBITS,
        "jobs.original.": ["duck", "replace"],
        "jobs.stem.": ["speech", "bed"],
        "jobs.state.": [*get_args(Status), "part", "settling"],
        "jobs.waits.": [each for each in get_args(Waits) if each],
        "tables.column.": _list("pages/tables.js", "EXPLAINED"),
        "webhooks.state.": ["waiting", "delivered", "failed"],
        "books.": [each for each in _list("pages/books.js", "PERIODS") if not each.isdecimal()],
        "order.state.": [*get_args(OrderState), "expired", "cancelled"],
        "order.told.": [*get_args(OrderState), "expired", "cancelled"],
        "usage.operation.": get_args(Operation),
        "usage.": ["speech", "credits", "requests"],
        "emotion.": EMOTIONS,
        "train.stage.": get_args(Stage),
        "voices.words.": get_args(Words),
        "voices.quality.": ["high", "medium", "low"],
        "voices.clone.": ["making", "ready", "failed", "expired", "stranded"],
        "voices.way.": ["phrase", "statement", "kept", "none"],
        "error.": [key.removeprefix("error.") for key in _TEXTS["en"] if key.startswith("error.")],
    }


def test_each_text_is_there_in_each_language_and_used() -> None:
    keys, beginnings = _used()
    known = {_PLURAL.sub("", key) for key in _TEXTS["en"]}
    values = _values()
    assert beginnings == set(values)
    keys |= {beginning + each for beginning, ends in values.items() for each in ends}
    assert sorted(keys - known) == []
    assert sorted(known - keys) == []
    assert len(_TEXTS["en"]) <= _MOST_TEXTS
    assert set(_TEXTS) == {"en", "pt-BR", "th", "es"}
    for language, texts in _TEXTS.items():
        assert {_PLURAL.sub("", key) for key in texts} == known, language
        for key, text in texts.items():
            base = _TEXTS["en"].get(key) or _TEXTS["en"][_PLURAL.sub("", key) + ".other"]
            # "One second" needs no number, so a text may leave one out.
            assert set(re.findall(r"{\w+}", text)) - {"{n}"} == set(re.findall(r"{\w+}", base)) - {"{n}"}, key


def _templates(text: str) -> Iterator[str]:
    """Give the HTML of each template of a script, with a blank in place of each value."""
    for match in re.finditer(r"\b(?:html|svg)`", text):
        yield _template(text, match.end())


def _template(text: str, at: int) -> str:
    found = ""
    while text[at] != "`":
        if text.startswith("${", at):
            at, found = _after_value(text, at + 2), found + "\0"
        else:
            found += text[at]
            at += 1
    return found


def _after_value(text: str, at: int) -> int:
    depth = 1
    while depth:
        if text[at] == "`":
            at += 1
            while text[at] != "`":
                at = _after_value(text, at + 2) if text.startswith("${", at) else at + 1
        depth += (text[at] == "{") - (text[at] == "}")
        at += 1
    return at


def test_no_words_are_hard_coded_in_a_template() -> None:
    found = []
    for name, script in _SCRIPTS.items():
        for template in _templates(script):
            shown = re.sub(r"<[^>]*>", " ", template)
            labels = re.findall(r'\b(?:aria-label|placeholder|title|alt)="([^"]*)"', template)
            words = [re.sub("voxgate|sk-vg-…", "", each).strip() for each in (shown, *labels)]
            found += [(name, each) for each in words if re.search(r"[^\W\d_]{2}", each)]
    assert found == []


def test_what_lies_in_it_from_elsewhere_is_unchanged() -> None:
    folder = WEB / "vendor/lit-html"
    lines = (line.split("  ", 1) for line in (folder / "SHA256SUMS").read_text().splitlines())
    noted = {name: digest for digest, name in lines}
    there = [path for path in folder.rglob("*") if path.is_file() and path.name != "SHA256SUMS"]
    assert {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in there
    } == noted
    assert "BSD-3-Clause" in (folder / "lit-html.js").read_text()


def test_the_first_load_is_light() -> None:
    files = served().files
    first = re.findall(r'(?:href|src)="console/\w+/([^"]+)"', served().shell)
    (modules,) = re.findall(r"const MODULES = (\[.*?\]);", files["head.js"].plain.decode())
    first += [*json.loads(modules), "texts/en.json"]
    assert (
        sum(len(files[name].gzipped) for name in set(first)) + len(gzip.compress(served().shell.encode()))
        < 60_000
    )
    assert len(set(first)) <= 26
    texts = WEB / "console.css"
    assert texts.read_text().count("\n") <= 600


async def test_the_loop_goes_on_while_the_files_are_read_and_compressed() -> None:
    served.cache_clear()
    opening = asyncio.create_task(open_console())
    await asyncio.sleep(0)
    assert not opening.done()
    assert (await opening).files.keys() >= {"head.js", "console.css", "texts/en.json"}


async def test_files_that_are_there_are_answered_at_once() -> None:
    known, opening = served(), asyncio.create_task(open_console())
    await asyncio.sleep(0)
    assert opening.result() is known
