"""Lexicons: words are added, heard, pasted, changed and deleted, and each change is saved at once."""

from pathlib import Path
from typing import Any

import pytest

from plugins.tone.decode import decode
from tests.features.console.console_page import ALL_LOOKS, LOOKS, Reader
from tests.replies import json_of
from tests.sound import decoded

pytestmark = pytest.mark.slow_but("test_words_are_added_heard_and_saved_at_once")

_HOSTILE = "<img src=x onerror=alert(1)>\u202e"


def _words(reader: Reader, name: str = "en") -> dict[str, str]:
    with reader.server.client(reader.key.secret) as client:
        words: dict[str, str] = json_of(client.get(f"/v1/lexicons/{name}"))["words"]
    return words


def _put(reader: Reader, name: str, words: dict[str, str]) -> Any:
    with reader.server.client(reader.key.secret) as client:
        return json_of(client.put(f"/v1/lexicons/{name}", json={"words": words}))


def _add(reader: Reader, word: str, spoken: str, count: str) -> None:
    reader.fill("#add-word", word)
    reader.fill("#add-spoken", spoken)
    reader.press("Add")
    reader.reads(f"Saved: {count}")


def _paste(reader: Reader, text: str) -> None:
    reader.tab.run("at('details').open = true")
    reader.fill("#paste-text", text)
    reader.press("Add these words")


@pytest.mark.kit("axe")
def test_words_are_added_heard_and_saved_at_once(reader: Reader, tmp_path: Path) -> None:
    reader.open("lexicons")
    reader.wait("at('#lexicons-list')")
    reader.choose("#lexicon-language", "en")
    reader.press("Add words")
    reader.wait("at('#add-word')")
    reader.assert_readable(LOOKS[:1])
    reader.press("Add")
    reader.reads("is incomplete")
    _add(reader, "nginx", "engine x", "1 word")
    _add(reader, "SQL", "sequel", "2 words")
    assert reader.tab.run("document.activeElement.id") == "add-word"
    assert _words(reader) == {"SQL": "sequel", "nginx": "engine x"}
    reader.press("Play nginx")
    reader.reads("nginx", "#dock .title")
    saved = reader.tab.downloaded(tmp_path, "at('#dock [aria-label^=\"Download as\"]').click()")
    sound = decoded(saved, "wav")
    assert decode(sound.samples, sound.sample_rate_hz) == ("engine x",)
    reader.tab.run("at('[aria-label=\"Said as: SQL\"]').focus()")
    reader.tab.run("at('[aria-label=\"Said as: SQL\"]').select()")
    reader.tab.type("ess queue ell")
    reader.tab.press("Tab")
    reader.wait("at('[role=status]').textContent.startsWith('Saved')")
    reader.press("Delete: nginx")
    reader.reads("1 word")
    reader.wait("document.activeElement.id === 'words-title'")
    assert _words(reader) == {"SQL": "ess queue ell"}
    reader.assert_readable(ALL_LOOKS[1:])


def test_two_columns_are_pasted_and_come_back_as_a_file(reader: Reader, tmp_path: Path) -> None:
    _put(reader, "brands-2", {"old": "ancient", "two": "three"})
    reader.open("lexicons/brands-2")
    reader.reads("2 words")
    faulty = (
        ("one;eins;1", "Line 1: two columns"),
        ('"a","b"\n"open', "Line 2: a quote opens"),
        ('"a"x,b', "Line 1: something stands"),
        ("word", "Line 1: two columns"),
        (f"{'x' * 101},y", "Line 1: two columns"),
        ("a,b\na,…", "no letter or digit"),
    )
    for text, fault in faulty:
        _paste(reader, text)
        reader.reads(fault, "details")
    # What the server refuses can be mended where it stands.
    reader.press("Delete: a")
    reader.reads("Saved: 2 words")
    assert _words(reader, "brands-2") == {"old": "ancient", "two": "three"}
    _paste(reader, f'two\ttwo too\n=1+1\tequals\n"C, D"\tsee and dee\n{_HOSTILE}\tan image')
    reader.reads("Saved: 5 words")
    # The server leaves marks of direction out.
    kept = {
        "two": "two too",
        "=1+1": "equals",
        "C, D": "see and dee",
        _HOSTILE[:-1]: "an image",
        "old": "ancient",
    }
    assert _words(reader, "brands-2") == kept
    assert reader.tab.run("at('#page img')") is None
    reader.assert_readable(LOOKS[:1])
    saved = reader.tab.downloaded(tmp_path, "at('#words-save').click()").decode("utf-8-sig")
    assert "'=1+1,equals\r\n" in saved
    reader.press("Delete")
    reader.press("Delete", "at('#question')")
    reader.wait("location.hash === '#/lexicons'")
    reader.go("lexicons/brands-2")
    reader.reads("0 words")
    _paste(reader, saved)
    reader.reads("Saved: 5 words")
    assert _words(reader, "brands-2") == kept


def test_the_server_s_words_are_read_only_and_own_names_are_checked(reader: Reader) -> None:
    reader.open("lexicons")
    reader.reads("of the server", "#lexicons-list")
    reader.choose("#lexicon-language", "")
    for name in ("", "none", "a b", "-x", "ü", _HOSTILE):
        reader.fill("#lexicon-name", name)
        reader.press("Add words")
        reader.reads("A name has 1 to 64")
        assert reader.tab.run("document.activeElement.id") == "lexicon-name"
    reader.assert_readable(ALL_LOOKS[1:3])
    reader.tab.run("at('#lexicons-list a').click()")
    reader.wait("at('#words-list')")
    assert reader.tab.run("[at('#add-word'), at('#words-delete'), at('#words-list input').readOnly]") == [
        None,
        None,
        True,
    ]
    reader.assert_readable(LOOKS[:1])
    # An own lexicon of that name comes before it, however it is written.
    _put(reader, "pt-BR", {"oi": "olá"})
    reader.go("lexicons")
    reader.choose("#lexicon-language", "")
    reader.fill("#lexicon-name", "PT-br")
    reader.press("Add words")
    reader.wait("location.hash === '#/lexicons/pt-BR' && at('#words-list')")


def test_a_thousand_words_are_found_and_few_are_drawn(reader: Reader) -> None:
    _put(reader, "big", {f"word{number}": f"spoken {number}" for number in range(1000)})
    reader.open("lexicons/big")
    reader.reads("1,000 words")
    assert reader.tab.run("document.querySelectorAll('#words-list li').length") == 50
    assert reader.tab.run("document.querySelectorAll('*').length") < 1500
    reader.press("Show more")
    reader.wait("document.querySelectorAll('#words-list li').length === 100")
    reader.fill("#words-find", "word777")
    reader.wait("document.querySelectorAll('#words-list li').length === 1")
    reader.fill("#add-word", "one more")
    reader.fill("#add-spoken", "too many")
    reader.press("Add")
    reader.reads("at most 1,000 words")
    assert len(_words(reader, "big")) == 1000


def test_lexicons_are_in_each_language_and_tell_that_the_server_is_away(reader: Reader) -> None:
    reader.open("lexicons")
    for tag, word in (("th", "พจนานุกรม"), ("es", "Léxicos"), ("pt-BR", "Léxicos")):
        reader.choose(".tongue", tag)
        reader.wait(f"document.documentElement.lang === '{tag}'")
        reader.reads(word)
        if tag == "th":
            reader.assert_readable(LOOKS[:1])
    reader.choose(".tongue", "en")
    reader.go("speak")
    reader.hold("/v1/lexicons", 503)
    reader.go("lexicons")
    reader.wait("window.letGo")
    reader.tab.run("letGo()")
    reader.reads("status 503")
    reader.assert_readable(LOOKS[:1])
