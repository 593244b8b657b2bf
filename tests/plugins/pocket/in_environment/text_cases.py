"""Texts as the model reads them: the package's chunks, and by name what it cannot read."""

import io
import json
import random
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
import tokenizers
from pocket_tts.models.text_chunking import prepare_text_prompt, split_into_best_sentences

from plugins.pocket.sizes import PUBLISHED, PocketSizes
from plugins.pocket.text import CHUNK_TOKENS, TextReader, preparation_of
from speech_engine.errors import UnsupportedText
from speech_engine.model_files.sentencepiece import tokenizer_json
from tests.plugins.pocket.in_environment.rig import SIZES, TEXTS, package, rig
from tests.plugins.pocket.tiny import TINY

LONG = "this is a test and that is one word, hello there to the voice; " * 4


@pytest.mark.parametrize("sizes", SIZES, ids=lambda sizes: sizes.name)
@pytest.mark.parametrize("text", [*TEXTS, LONG, "hi", "It’s this", "Hi?\nHello\r\nthere", "one 1.5 two."])
def test_the_chunks_are_the_packages(sizes: PocketSizes, text: str) -> None:
    tiny, theirs = rig(sizes), package(sizes)
    how: dict[str, Any] = {
        "pad_with_spaces_for_short_inputs": theirs.pad_with_spaces_for_short_inputs,
        "remove_semicolons": theirs.remove_semicolons,
        "replace_characters": theirs.replace_characters,
    }
    expected = []
    for part in split_into_best_sentences(tiny.networks.tokenizer, text, CHUNK_TOKENS, **how):
        prepared, more = prepare_text_prompt(part, **how)
        expected.append((tuple(tiny.networks.tokenizer.encode(prepared)), more + 2))
    assert [tuple(chunk) for chunk in tiny.model.reader.chunks(text)] == expected
    assert all(len(tokens) <= CHUNK_TOKENS + 8 for tokens, _ in expected)


def test_a_letter_that_the_vocabulary_lacks_is_refused_by_name_and_the_text_is_not_quoted() -> None:
    with pytest.raises(UnsupportedText, match="THAI CHARACTER KO KAI") as refused:
        rig().model.reader.chunks("the letter ก of a secret")
    assert "secret" not in str(refused.value)


def test_a_mark_that_the_vocabulary_lacks_is_left_out() -> None:
    reader = rig().model.reader
    assert reader.chunks("well then ☺ go") == reader.chunks("well then go")
    assert reader.chunks("well\ufffft\ud800hen") == reader.chunks("well t?hen")


@pytest.mark.parametrize("text", ["", " ", "☺", "\n", "’☺", "\ufffe"])
def test_a_text_of_which_nothing_is_left_is_refused(text: str) -> None:
    with pytest.raises(UnsupportedText):
        rig().model.reader.chunks(text)


def test_a_sentence_beyond_all_measure_is_refused_with_its_length() -> None:
    with pytest.raises(UnsupportedText, match="reads 200"):
        rig().model.reader.chunks("zqx" * 100)


def test_a_vocabulary_that_spells_in_bytes_lacks_nothing() -> None:
    content = json.loads((rig().folder / "tokenizer.json").read_text())
    pieces = content["model"]["vocab"]
    pieces[-256:] = [[f"<0x{byte:02X}>", -20.0] for byte in range(256)]
    content["model"]["byte_fallback"] = True
    networks = rig().networks
    kept = networks.tokenizer.tokenizer
    try:
        networks.tokenizer.tokenizer = tokenizers.Tokenizer.from_str(json.dumps(content))
        (chunk,) = TextReader(networks, preparation_of("en", TINY)).chunks("ก")
    finally:
        networks.tokenizer.tokenizer = kept
    assert len(chunk.tokens) >= 4


@pytest.mark.parametrize("language", ["en", "en-GB", "fr", "de", "it", "pt", "es", "nl", "cs"])
@pytest.mark.parametrize("size", ["100m", "7m"])
def test_each_language_is_prepared_as_in_the_packages_own_description(language: str, size: str) -> None:
    import pocket_tts
    import yaml

    sizes = next(each for each in PUBLISHED if each.name == size)
    names = {"en": "english", "fr": "french", "de": "german", "it": "italian", "pt": "portuguese"}
    names |= {"es": "spanish", "nl": "dutch"}
    base = language.split("-")[0]
    name = "english_7m_2026-10" if (base, size) == ("en", "7m") else names.get(base, "")
    folder = Path(pocket_tts.__file__).parent / "config"
    told = yaml.safe_load((folder / f"{name}.yaml").read_text(encoding="utf-8")) if name else {}
    found = preparation_of(language, sizes)
    assert dict(found.replaces) == told.get("replace_characters", {})
    assert found.removes_semicolons == told.get("remove_semicolons", False)


def _sentencepiece(**more: Any) -> bytes:
    chance = random.Random(3)
    words = ("the", "fox", "jumps", "café", "naïve", "don't", "Straße", "über", "numbers", "1234", "voice")

    def line() -> str:
        return " ".join(chance.choices(words, k=chance.randint(3, 12))).capitalize() + chance.choice(".!?,;:")

    made = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([line() for _ in range(1000)]),
        model_writer=made,
        model_type="unigram",
        vocab_size=400 if "byte_fallback" in more else 110,
        hard_vocab_limit=False,
        minloglevel=2,
        **more,
    )
    return made.getvalue()


_ODD = (
    "  two  spaces\t tabs\n",
    "ﬁne ½ ①",
    "<s> </s> <unk> x",
    "日本",
    "",
    ".!...?",
    ",;:",
    "e\u0301",
    "\u200bx",
)


@pytest.mark.parametrize(
    "more",
    [{}, {"byte_fallback": True}, {"add_dummy_prefix": False}, {"user_defined_symbols": ["<pause>"]}],
    ids=str,
)
def test_a_sentencepiece_model_that_was_turned_into_json_reads_alike(more: dict[str, Any]) -> None:
    data = _sentencepiece(**more)
    theirs = sentencepiece.SentencePieceProcessor(model_proto=data)
    ours = tokenizers.Tokenizer.from_str(tokenizer_json(memoryview(data)).decode())
    assert ours.get_vocab_size() == theirs.vocab_size()
    chance = random.Random(5)
    letters = "the quick fox's voice, über; naïve! 42 Don't?"
    texts = ["".join(chance.choices(letters, k=chance.randint(1, 80))) for _ in range(200)]
    for text in (*texts, *_ODD):
        tokens = theirs.encode(text)
        assert ours.encode(text).ids == tokens, text
        if theirs.unk_id() not in tokens and "\n" not in text and "add_dummy_prefix" not in more:
            assert ours.decode(tokens) == theirs.decode(tokens), text
