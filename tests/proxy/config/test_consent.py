"""[consent]: the operator's name, and what must be there for a refusal."""

from pathlib import Path

import pytest

from proxy.config.config_toml import ConfigError
from proxy.config.sections import ConsentSection
from tests.proxy.config.files import load
from tests.tables import each_row


def test_without_a_section_nothing_is_compared(tmp_path: Path) -> None:
    assert load(tmp_path, "").consent == ConsentSection("voxgate", "", "record")


def test_a_section_is_read(tmp_path: Path) -> None:
    written = '[consent]\noperator = "Acme"\ncomparer = "x"\nother_speaker = "refuse"'
    assert load(tmp_path, written).consent == ConsentSection("Acme", "x", "refuse")


@each_row(
    ("written", "said"),
    [
        ('operator = ""', "consent.operator: must be a name of up to 100 characters"),
        ('operator = "a\\nb"', "consent.operator: must be a name"),
        ('other_speaker = "ask"', 'consent.other_speaker: must be "record" or "refuse"'),
        ('other_speaker = "refuse"', "consent.other_speaker: needs a comparer"),
        ("operater = 1", "consent.operater"),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, written: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load(tmp_path, f"[consent]\n{written}")
