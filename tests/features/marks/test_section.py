"""[marking]: keys and certificates are named and never written, and what holds no keys is refused at once."""

from base64 import b64encode
from pathlib import Path

import pytest

from proxy.config.config_toml import ConfigError
from proxy.feature_list import load_config
from proxy.features.marks.section import SECTION, MarkingSection
from tests.tables import each_row

KEY = b64encode(bytes(32)).decode()


def load(folder: Path, text: str, **environ: str) -> MarkingSection:
    file = folder / "config.toml"
    file.write_text(f"[marking]\n{text}\n")
    return SECTION.of(load_config(file, environ))


def test_marks_manifests_and_receipts_are_on_without_a_word(tmp_path: Path) -> None:
    section = load(tmp_path, "")
    assert (section.mark, section.manifests, section.receipts, section.keys) == ("spread", True, True, "")


def test_keys_are_those_that_are_named(tmp_path: Path) -> None:
    (tmp_path / "ring").write_text(f"{KEY}\n{KEY}\n")
    section = load(tmp_path, 'keys = "file:ring"\nreceipt_keys = "env:R"', R=KEY)
    assert (section.keys.split(), section.receipt_keys) == ([KEY, KEY], KEY)
    assert KEY not in repr(section)


@each_row(
    ("text", "environ", "says"),
    [
        (f'keys = "{KEY}"', {}, 'marking.keys: must be "env:NAME" or "file:PATH"; it is never written'),
        ('keys = "env:K"', {"K": "a poem"}, "marking.keys: env:K must hold 32 bytes in base64"),
        ('keys = "env:K"', {"K": f"{KEY} AAAA"}, "marking.keys: env:K must hold 32 bytes in base64"),
        ('receipt_keys = "env:K"', {"K": "é"}, "marking.receipt_keys: env:K must hold 32 bytes in base64"),
        ('keys = "env:K"', {}, "marking.keys: "),
        ('certificate = "file:none.pem"', {}, "marking.certificate_key: a certificate and its key come"),
        ('certificate_key = "env:K"', {"K": "k"}, "marking.certificate: a certificate and its key come"),
        ('timestamp_url = "ftp://t"', {}, "marking.timestamp_url: must be"),
        ('mark = "audioseal"', {}, 'marking.mark: the mark audioseal went with 0.2.0: write mark = "spread"'),
        ("key = 1", {}, "marking.key: no such key; did you mean keys?"),
    ],
)
def test_a_fault_names_the_key_and_never_repeats_a_secret(
    tmp_path: Path, text: str, environ: dict[str, str], says: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, text, **environ)
    assert says in str(raised.value)
    assert not any(value in str(raised.value) for value in (KEY, *environ.values()) if value != "k")
