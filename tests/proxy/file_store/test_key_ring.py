"""Rings of keys: read, made on the first day, and given a new first key."""

import os
import stat
import threading
from base64 import b64encode
from pathlib import Path

import pytest

from proxy.file_store.key_ring import add_key, ensure_keys, parse_keys
from proxy.file_store.master_keys import VaultFailed
from tests.tables import each_row

ONE, TWO = (b64encode(bytes([number]) * 32).decode() for number in (1, 2))


def test_the_newest_comes_first_and_the_others_are_found_by_their_ids() -> None:
    ring = parse_keys(f" {TWO}\n{ONE} {TWO}\n", "here")
    newest, oldest = ring
    assert ring.newest == newest
    assert newest.secret == bytes([2]) * 32
    assert ring.get(oldest.id) == oldest
    assert ring.get("3f2a91c0") is None
    assert parse_keys(ONE, "elsewhere").newest.id == oldest.id


@each_row("text", ["", "   \n", "short", f"{ONE} AAAA", f"{ONE}!", ONE[:-4], "é" * 44])
def test_what_holds_no_keys_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(VaultFailed, match=r"marking\.keys must hold keys of 32 bytes") as refused:
        parse_keys(text, "marking.keys")
    assert not text.strip() or text.strip() not in str(refused.value)


def test_a_repr_shows_ids_and_no_secret() -> None:
    ring = parse_keys(ONE, "here")
    assert repr(ring.newest) == f"<RingKey {ring.newest.id}>"
    assert ONE not in repr(ring) + repr(ring.newest)


def test_a_file_is_made_once_and_is_private(tmp_path: Path) -> None:
    file = tmp_path / "data" / "mark-keys"
    file.parent.mkdir()
    made = ensure_keys(file)
    assert [*ensure_keys(file)] == [*made]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_new_key_stands_before_those_that_were_there(tmp_path: Path) -> None:
    file = tmp_path / "mark-keys"
    before = [*ensure_keys(file)]
    after = [*add_key(file)]
    assert after[1:] == before
    assert after[0] != before[0]
    assert [*ensure_keys(file)] == after
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["mark-keys"]


def test_keys_that_are_added_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    file = tmp_path / "mark-keys"
    before = [*ensure_keys(file)]
    starting, made = threading.Barrier(8), []

    def add() -> None:
        starting.wait()
        for _ in range(10):
            made.append(add_key(file).newest)

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {*ensure_keys(file)} == {*made, *before}
    assert len(made) == 80
    assert [path.name for path in tmp_path.iterdir()] == ["mark-keys"]


def test_a_file_behind_a_link_gets_the_new_key(tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    file, real = tmp_path / "mark-keys", tmp_path / "volume" / "keys"
    ensure_keys(real)
    file.symlink_to(real)
    ring = add_key(file)
    assert file.is_symlink()
    assert [*ensure_keys(real)] == [*ring]
    assert len([*ring]) == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file to somebody")
def test_a_key_that_root_adds_leaves_the_file_to_the_servers_user(tmp_path: Path) -> None:
    file = tmp_path / "receipt-keys"
    ensure_keys(file)
    os.chown(file, 4321, 4322)
    add_key(file)
    assert (file.stat().st_uid, file.stat().st_gid) == (4321, 4322)


@each_row("left", ["somebody wrote a poem here, longer than any key", "", "\n", "x", ONE[:20]])
def test_a_spoilt_file_is_not_overwritten(tmp_path: Path, left: str) -> None:
    file = tmp_path / "mark-keys"
    file.write_text(left)
    for change in (ensure_keys, add_key):
        with pytest.raises(VaultFailed, match="mark-keys must hold"):
            change(file)
    assert file.read_text() == left
