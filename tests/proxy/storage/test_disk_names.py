"""Names of files that come from rows: what is let through never leads out of a folder."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.feature_list import all_tables, open_store
from proxy.file_store.locked_files import LOCK, PART
from proxy.file_store.objects import LEFT_MARK
from proxy.storage.disk_names import OPERATOR, DiskName, UnsafeName, account_name, owner_name, safe_names
from proxy.storage.rows import new_id

ROOT = Path("/data/voices")
_PIECES = st.sampled_from(
    ["..", ".", "/", "\\", "\0", "a", "acc_1", "\n", "~", "%2e", "\u2024", "\uff0f", " ", "-"]
)


@given(st.one_of(st.text(), st.lists(_PIECES).map("".join), st.integers(), st.none(), st.binary()))
@example("..")
@example("acc_1\n")
@example("a" * 81)
@example("-rf")
@example("\u0661")  # a digit, and no ASCII
def test_a_name_is_one_step_below_its_folder_or_refused(text: object) -> None:
    try:
        name = DiskName(text)
    except UnsafeName:
        return
    assert name == text
    path = ROOT / name
    assert Path(os.path.normpath(path)).parent == ROOT
    assert path.name == name
    assert path.suffix not in (LOCK, PART, LEFT_MARK)
    assert os.fsencode(path).isascii()


@given(st.text(alphabet="0123456789abcdef", min_size=1, max_size=64))
def test_what_we_make_ourselves_is_a_name(digest: str) -> None:
    assert DiskName(digest) == digest
    assert account_name(new_id("acc"))
    assert DiskName(f"{digest}-0011aaff")


def test_the_operator_is_nobodys_account() -> None:
    assert owner_name("") == OPERATOR
    for refused in ("operator", "..", None):
        with pytest.raises(UnsafeName):
            owner_name(refused)
    for refused in ("", "operator"):
        with pytest.raises(UnsafeName):
            account_name(refused)


def test_a_refusal_is_one_short_line_without_control_characters() -> None:
    with pytest.raises(UnsafeName) as caught:
        DiskName("../\x1b[31m\n" + "x" * 5000)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200


def test_of_some_texts_the_names_are_taken() -> None:
    assert safe_names(["d1", "../d2", 3, "d4"]) == ["d1", "d4"]


async def test_each_column_that_may_become_a_path_is_checked(tmp_path: Path) -> None:
    """A recording lies in its account's folder. Other columns with an account are compared, summed and shown,
    unless their table says so."""
    keeping = {table.name for table in all_tables() if table.sealed or table.recordings}
    async with open_store("sqlite", tmp_path):
        pass
    with closing(sqlite3.connect(tmp_path / "voxgate.db")) as database:
        columns = database.execute(
            "SELECT m.name, c.name FROM sqlite_schema AS m, pragma_table_info(m.name) AS c "
            "WHERE m.type = 'table' AND c.name IN ('account', 'digest', 'digests', 'told', 'path', 'file')"
        )
        found = {(table, column) for table, column in columns if column != "account" or table in keeping}
    checked = {(table.name, column.name) for table in all_tables() for column in table.paths}
    assert found >= {("consents", "account"), ("blobs", "digest"), ("erasures", "digests")}
    assert found <= checked
    others = {("accounts", "id"), ("keys", "account"), ("erasures", "account"), ("clips", "name")}
    assert checked - found >= others
