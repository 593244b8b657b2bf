"""Alerts as rows, on both databases."""

import msgspec
import pytest

from policies.alerts import Alert, AlertChange
from proxy.features.alerts import records
from proxy.storage.store import Statement, Store

pytestmark = pytest.mark.both_stores


async def test_an_alert_is_saved_changed_and_deleted(store: Store) -> None:
    first = Alert(id="disk_full:data", kind="disk_full", name="data", detail="4 %", since=7)
    later = msgspec.structs.replace(first, detail="3 %", mailed=8, gone=9)
    other = Alert(id="dispute:77", kind="dispute", name="77", detail="", since=1)
    await store.write(*[records.change_statement(AlertChange("save", each)) for each in (first, other)])
    assert await records.list_all(store) == [other, first]
    await store.write(
        records.change_statement(AlertChange("send", later)),
        records.change_statement(AlertChange("drop", other)),
    )
    assert await records.list_all(store) == [later]
    await store.write(records.change_statement(AlertChange("end", later)))
    assert await records.list_all(store) == []


async def test_an_alert_of_a_kind_that_only_a_newer_version_knows_is_left_out(store: Store) -> None:
    alert = Alert(id="disk_full:data", kind="disk_full", name="data", detail="4 %", since=7)
    await store.write(
        records.change_statement(AlertChange("save", alert)),
        Statement("INSERT INTO alerts (id, kind, name, detail, since) VALUES ('new', 'new', '', '', 1)"),
    )
    assert await records.list_all(store) == [alert]
