"""Every fault that a fake knows is in the table, with every field that it may have."""

import json
import re
from typing import get_args

import msgspec

from fakes.faults import Broken, FaultOrder, ScriptedFault
from tests.docs import pages

_SECTION = (pages.ROOT / "fakes" / "README.md").read_text()


def test_the_table_has_every_fault_and_no_other() -> None:
    named = [code for row in pages.rows(_SECTION) for code in pages.codes(row[0])]
    assert sorted(named) == sorted([*get_args(FaultOrder), *get_args(Broken)])


def test_every_field_of_a_fault_is_said() -> None:
    fields = {field.encode_name for field in msgspec.structs.fields(ScriptedFault)}
    assert fields - set(re.findall(r"`(\w+)`", _SECTION)) == set()


def test_the_shown_line_is_a_list_of_faults() -> None:
    (body,) = re.findall(r"-d '(.+)'", _SECTION)
    assert msgspec.convert(json.loads(body), list[ScriptedFault])[0].count == 2
