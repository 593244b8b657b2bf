"""[lexicons.NAME]: how to speak words in the texts of every account."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from policies import lexicon
from policies.lexicon import Words
from proxy.config.reader import Reader, Section


def _read(reader: Reader, value: object, _environ: Mapping[str, str], _folder: Path) -> dict[str, Words]:
    lexicons: dict[str, Words] = {}
    for name, section in reader.table(value, "lexicons").items():
        key = f"lexicons.{name}"
        if (wrong := lexicon.name_fault(name)) is not None:
            reader.fault(key, f"must have {wrong}")
        usual = lexicon.usual_name(name)
        if usual in lexicons:
            reader.fault(key, f"is there twice; write it once, as [lexicons.{usual}]")
        lexicons[usual] = _words(reader, reader.table(section, key), key)
    return lexicons


def _words(reader: Reader, table: dict[str, object], key: str) -> Words:
    words: dict[str, str] = {}
    for word, spoken in table.items():
        if isinstance(spoken, str):
            words[word] = spoken
        else:
            reader.fault(f"{key}.{word}", "must be what is said for the word, a text in quotes")
    if (wrong := lexicon.words_fault(words, is_named=True)) is not None:
        reader.fault(key, f"must have {wrong}")
    return lexicon.usual_words(words)


SECTION = Section("lexicons", dict[str, Words], _read, from_environment=False)
