"""Raw mappings read field by field: each fault with its field, and what would be right there."""

from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from proxy.config import fields
from proxy.config.engines import CostSection
from proxy.config.fields import FieldFault, FieldFaults
from proxy.config.plans import PlanSection, PriceSection
from proxy.config.sections import EngineSection, LimitsStore, Server, Storage, VoiceSection
from proxy.features.admin.accounts import AccountChange, NewAccount
from proxy.features.admin.agreed_terms import AgreedChange
from proxy.features.admin.keys import NewCaps, NewKey
from proxy.features.admin.money import NewCorrection, NewGrant, NewRefund
from proxy.speech.speech_body import SpeechBody
from tests.tables import each_row


class Cake(msgspec.Struct, frozen=True):
    name: Annotated[str, Meta(min_length=1, description="a name")]
    layers: Annotated[int, Meta(ge=1, description="a number of layers")] = 1
    icing: Annotated[str, Meta(max_length=5, description="a short word")] | None = None
    tags: tuple[str, ...] = msgspec.field(default=(), name="labels")


def faults(raw: dict[str, Any], **more: bool) -> list[FieldFault]:
    with pytest.raises(FieldFaults) as caught:
        fields.read_struct(Cake, raw, **more)
    return caught.value.faults


def test_a_right_mapping_becomes_the_struct() -> None:
    raw = {"name": "Sacher", "layers": 2, "icing": "dark", "labels": ["a"], "unknown": 1}
    assert fields.read_struct(Cake, raw) == Cake("Sacher", 2, "dark", ("a",))
    assert fields.read_struct(Cake, {"name": "x"}) == Cake("x")


def test_every_fault_is_told_with_its_field_and_what_is_right() -> None:
    assert faults({"layers": 0, "icing": "chocolate", "labels": "x"}) == [
        FieldFault("name", "missing", "a name"),
        FieldFault("layers", "wrong", "a number of layers", 0),
        FieldFault("icing", "wrong", "a short word", "chocolate"),
        FieldFault("labels", "wrong", "of type tuple", "x"),
    ]


def test_null_is_a_value_unless_it_means_absent() -> None:
    assert [fault.field for fault in faults({"name": "x", "layers": None})] == ["layers"]
    assert fields.read_struct(
        Cake, {"name": "x", "layers": None, "icing": None}, null_is_absent=True
    ) == Cake("x")
    assert faults({"name": None}, null_is_absent=True) == [FieldFault("name", "missing", "a name")]


class Box(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    size: Annotated[int, Meta(ge=1, description="a size")] | msgspec.UnsetType | None = msgspec.UNSET


class Parcel(msgspec.Struct, frozen=True):
    box: Annotated[Box, Meta(description="a box")] | None = None


@each_row(
    ("inside", "fault"),
    [
        ({"size": 0}, FieldFault("box.size", "wrong", "a size", 0)),
        ({"sise": 1}, FieldFault("box.sise", "unknown", "one of size")),
        (7, FieldFault("box", "wrong", "a box", 7)),
    ],
)
def test_a_fault_inside_a_closed_struct_has_its_own_name(inside: object, fault: FieldFault) -> None:
    with pytest.raises(FieldFaults) as caught:
        fields.read_struct(Parcel, {"box": inside})
    assert caught.value.faults == [fault]


def test_inside_a_closed_struct_null_is_a_value() -> None:
    read = [
        fields.read_struct(Parcel, {"box": box}, null_is_absent=True) for box in ({"size": None}, {}, None)
    ]
    assert read == [Parcel(Box(None)), Parcel(Box()), Parcel(None)]


def test_a_fault_shows_no_value_in_its_exception() -> None:
    with pytest.raises(FieldFaults) as caught:
        fields.read_struct(Cake, {"name": "x", "icing": "a secret"})
    assert "secret" not in str(caught.value)


def test_keys_nobody_knows_are_listed_by_the_name_in_the_file() -> None:
    assert fields.find_unknown_keys(Cake, {"name": "x", "tags": 1, "labels": 1, "zzz": 1}) == ["tags", "zzz"]


@each_row(
    "struct",
    [
        *(SpeechBody, NewAccount, AccountChange, NewKey, Server, Storage, LimitsStore, EngineSection),
        *(AgreedChange, NewCaps, NewGrant, NewCorrection, NewRefund),
        *(CostSection, PlanSection, PriceSection, VoiceSection),
    ],
)
def test_everything_that_people_write_is_described_in_words(struct: type[msgspec.Struct]) -> None:
    mine = {"settings", "costs", "bindings", "fault"}  # whole tables that the config reader fills in itself
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
        cake = fields.read_struct(Cake, raw, null_is_absent=null_is_absent)
    except FieldFaults as error:
        named = [fault.field for fault in error.faults]
        assert set(named) <= {"name", "layers", "icing", "labels"}
        assert len(named) == len(set(named)) > 0
        return
    assert cake == msgspec.convert(msgspec.to_builtins(cake), Cake)
