"""What tests about the house find in files is kept, by the digest of the text and of the code that looks."""

from pathlib import Path

import pytest

from scripts.found import found_in

READ: list[str] = []


def long_words(text: str) -> list[tuple[str, int]]:
    READ.append(text)
    return [(word, len(word)) for word in text.split() if len(word) > 3]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    READ.clear()
    return tmp_path / "voxgate" / "found"


def test_a_text_is_looked_at_once_and_a_new_one_always() -> None:
    texts = {"a.py": "one three", "b.py": "four five"}
    found = found_in(texts, long_words)
    assert found == {"a.py": [["three", 5]], "b.py": [["four", 4], ["five", 4]]}
    assert found_in(texts, long_words) == found
    assert READ == ["one three", "four five"]
    # A file that is moved is the same text, one that has changed is not.
    assert found_in({"c.py": "one three", "b.py": "seven"}, long_words) == {
        "c.py": [["three", 5]],
        "b.py": [["seven", 5]],
    }
    assert READ[2:] == ["seven"]


def test_what_is_found_fails_again_and_other_code_looks_again(folder: Path) -> None:
    found_in({"a.py": "three"}, long_words)
    (kept,) = folder.iterdir()
    kept.rename(folder / "tests.test_found.long_words-0.json")
    assert found_in({"a.py": "three"}, long_words) == {"a.py": [["three", 5]]}
    assert READ == ["three", "three"]


def test_a_broken_cache_is_none(folder: Path) -> None:
    found_in({"a.py": "three"}, long_words)
    (kept,) = folder.iterdir()
    kept.write_text("[")
    assert found_in({"a.py": "three"}, long_words) == {"a.py": [["three", 5]]}
