"""[vault]: keys that are named outside the file, and told apart from what is no key without being shown."""

from base64 import b64encode
from pathlib import Path

from proxy.config.sections import VaultSection
from tests.proxy.config.files import faults, load
from tests.tables import each_row

KEY, OLD = (b64encode(bytes([number]) * 32).decode() for number in (1, 2))


def test_left_out_the_key_is_a_file_of_the_data_folder(tmp_path: Path) -> None:
    assert load(tmp_path, "").vault == VaultSection("", (), "")


def test_keys_are_named_outside_the_file_and_never_shown(tmp_path: Path) -> None:
    (tmp_path / "old").write_text(f"{OLD}\n")
    text = "[vault]\nmaster_key = 'env:KEY'\nold_master_keys = ['file:old']\nfolder = 'recordings'"
    loaded = load(tmp_path, text, KEY=KEY)
    assert loaded.vault == VaultSection(KEY, (OLD,), str(tmp_path / "recordings"))
    assert loaded.secrets == ("KEY",)
    assert KEY not in repr(loaded)
    assert KEY not in repr(loaded.vault)
    assert load(tmp_path, "", VOXGATE_VAULT__MASTER_KEY="env:KEY", KEY=KEY).vault.master_key == KEY


@each_row(
    ("line", "fault"),
    [
        ("master_key = 'hunter2'", 'vault.master_key: must be "env:NAME" or "file:PATH"'),
        ("master_key = 'env:NONE'", "vault.master_key: env:NONE is not set"),
        ("master_key = 'env:SHORT'", "vault.master_key: env:SHORT must hold 32 bytes in base64"),
        ("master_key = 'env:TEXT'", "vault.master_key: env:TEXT must hold 32 bytes in base64"),
        ("old_master_keys = ['file:none']", "vault.old_master_keys: file:"),
        ("old_master_keys = ['hunter2']", 'vault.old_master_keys: must be "env:NAME" or "file:PATH"'),
        ("old_master_keys = 'env:KEY'", 'vault.old_master_keys: must be a list such as ["env:NAME"'),
        ("maser_key = ''", "vault.maser_key: no such key; did you mean master_key?"),
    ],
)
def test_what_is_no_key_is_told_without_it(tmp_path: Path, line: str, fault: str) -> None:
    (message,) = faults(tmp_path, f"[vault]\n{line}", SHORT="aHVudGVyMg==", TEXT="hunter2!")
    assert message.startswith(fault)
    assert "hunter2" not in message.removesuffix("hunter2'")
