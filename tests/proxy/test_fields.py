"""Raw mappings read field by field: each fault with its field, and what would be right there."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from proxy import fields
from proxy.endpoints.admin import AccountChange, NewAccount, NewKey
from proxy.fields import Fault, Faults
from proxy.sections import EngineSection, Server, Storage, VoiceSection
from proxy.wire import SpeechBody


class Cake(msgspec.Struct, frozen=True):
    name: Annotated[str, Meta(min_length=1, description="a name")]
    layers: Annotated[int, Meta(ge=1, description="a number of layers")] = 1
    icing: Annotated[str, Meta(max_length=5, description="a short word")] | None = None
    tags: tuple[str, ...] = msgspec.field(default=(), name="labels")


def faults(raw: dict[str, Any], **more: bool) -> list[Fault]:
    with pytest.raises(Faults) as caught:
        fields.read(Cake, raw, **more)
    return caught.value.faults


def test_what_is_right_becomes_the_struct() -> None:
    raw = {"name": "Sacher", "layers": 2, "icing": "dark", "labels": ["a"], "unknown": 1}
    assert fields.read(Cake, raw) == Cake("Sacher", 2, "dark", ("a",))
    assert fields.read(Cake, {"name": "x"}) == Cake("x")


def test_every_fault_is_told_with_its_field_and_what_is_right() -> None:
    assert faults({"layers": 0, "icing": "chocolate", "labels": "x"}) == [
        Fault("name", "missing", "a name"),
        Fault("layers", "wrong", "a number of layers", 0),
        Fault("icing", "wrong", "a short word", "chocolate"),
        Fault("labels", "wrong", "of type tuple", "x"),
    ]


def test_null_is_a_value_unless_it_means_absent() -> None:
    assert [fault.field for fault in faults({"name": "x", "layers": None})] == ["layers"]
    assert fields.read(Cake, {"name": "x", "layers": None, "icing": None}, null_is_absent=True) == Cake("x")
    assert faults({"name": None}, null_is_absent=True) == [Fault("name", "missing", "a name")]


def test_a_fault_shows_no_value_in_its_exception() -> None:
    with pytest.raises(Faults) as caught:
        fields.read(Cake, {"name": "x", "icing": "a secret"})
    assert "secret" not in str(caught.value)


def test_keys_nobody_knows_are_listed_by_the_name_in_the_file() -> None:
    assert fields.unknown(Cake, {"name": "x", "tags": 1, "labels": 1, "zzz": 1}) == ["tags", "zzz"]


@pytest.mark.parametrize(
    "struct", [SpeechBody, NewAccount, AccountChange, NewKey, Server, Storage, EngineSection, VoiceSection]
)
def test_everything_that_people_write_is_described_in_words(struct: type[msgspec.Struct]) -> None:
    mine = {"settings", "bindings"}  # whole tables that the config reader fills in itself
    for field in fields.fields_of(struct):
        assert field.key in mine or not field.expected.startswith("of type"), field.key


@given(
    st.dictionaries(
        st.sampled_from(["name", "layers", "icing", "labels", "x"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.lists(st.text()),
    ),
    st.booleans(),
)
def test_any_mapping_is_a_struct_or_faults_of_known_fields(raw: dict[str, Any], null_is_absent: bool) -> None:
    try:
        cake = fields.read(Cake, raw, null_is_absent=null_is_absent)
    except Faults as error:
        named = [fault.field for fault in error.faults]
        assert set(named) <= {"name", "layers", "icing", "labels"}
        assert len(named) == len(set(named)) > 0
        return
    assert cake == msgspec.convert(msgspec.to_builtins(cake), Cake)
