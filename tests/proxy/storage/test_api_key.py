"""The shape of a key: what a typing error does to it, and that it never shows itself."""

import string
from functools import partial

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from proxy.storage import api_key
from tests.tables import each_row

BASE62 = string.ascii_letters + string.digits
KEY = api_key.mint().reveal()
minted = st.builds(api_key.mint).map(api_key.ApiKey.reveal)
places = st.integers(0, len(KEY) - 1)
in_alphabet = st.sampled_from(BASE62)


@given(minted)
def test_every_minted_key_is_well_formed(key: str) -> None:
    assert api_key.is_well_formed(key)
    assert key.startswith("sk-vg-")
    assert len(key) == 44
    assert set(key[6:]) <= set(BASE62)


@given(minted, places, in_alphabet | st.characters())
def test_a_key_with_any_one_character_changed_is_rejected(key: str, place: int, other: str) -> None:
    assume(key[place] != other)
    assert not api_key.is_well_formed(key[:place] + other + key[place + 1 :])


def test_each_place_and_each_character_of_one_key_is_checked() -> None:
    changed = [
        KEY[:place] + other + KEY[place + 1 :]
        for place in range(len(KEY))
        for other in string.printable
        if other != KEY[place]
    ]
    assert len(changed) == 44 * 99
    assert not any(map(api_key.is_well_formed, changed))


@given(minted, st.integers(6, len(KEY) - 2))
def test_a_key_with_two_neighbours_swapped_is_rejected(key: str, place: int) -> None:
    assume(key[place] != key[place + 1])
    assert not api_key.is_well_formed(key[:place] + key[place + 1] + key[place] + key[place + 2 :])


@given(minted, places, in_alphabet)
def test_a_key_with_a_character_lost_or_added_is_rejected(key: str, place: int, other: str) -> None:
    assert not api_key.is_well_formed(key[:place] + key[place + 1 :])
    assert not api_key.is_well_formed(key[:place] + other + key[place:])


@given(st.text())
def test_any_text_is_judged_without_an_error(text: str) -> None:
    assert not api_key.is_well_formed(text)


@each_row(
    "wrapped",
    [f"{KEY}\n", f" {KEY}", f"Bearer {KEY}", KEY.upper(), "sk-vg-", KEY * 2],
    # The same names in every process of a run, though each mints a key of its own.
    ids=["newline", "space", "scheme", "upper case", "prefix alone", "twice"],
)
def test_a_key_with_something_around_it_is_rejected(wrapped: str) -> None:
    assert not api_key.is_well_formed(wrapped)


def test_the_checksum_of_a_key_in_the_wild_stays_good() -> None:
    # Written down, because a change of the checksum would turn away every key ever given out.
    assert api_key.is_well_formed("sk-vg-" + "0" * 32 + "883Ax0")


def test_no_two_keys_are_alike() -> None:
    assert len({api_key.mint().reveal() for _ in range(1000)}) == 1000


def test_a_key_shows_its_last_four_characters_and_no_more() -> None:
    key = api_key.ApiKey(KEY)
    shown = [repr(key), str(key), f"{key}", f"{[key]}", f"{key!r:>60}"]
    assert all(KEY[-4:] in text for text in shown)
    assert not any(KEY[6:-4] in text for text in shown)
    assert key.hint == KEY[-4:]


@pytest.mark.parametrize("encode", [msgspec.json.encode, partial(msgspec.to_builtins, str_keys=True)])
def test_a_key_cannot_be_encoded_by_accident(encode: object) -> None:
    assert callable(encode)
    with pytest.raises(TypeError):
        encode(api_key.ApiKey(KEY))


def test_the_digest_is_sha_256_of_the_whole_key() -> None:
    assert api_key.digest("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert api_key.ApiKey(KEY).digest == api_key.digest(KEY)
