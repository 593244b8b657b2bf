"""/admin/alerts: what needs an operator now, and a mail that shows that mails arrive."""

from __future__ import annotations

from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from policies.alerts import TITLES, Alert
from proxy.api.admin_tools import AdminTools
from proxy.errors import Conflict
from proxy.features.alerts import records
from proxy.features.alerts.section import AlertSection
from proxy.features.alerts.watch import mail_statements
from proxy.features.mail.mails import Mails
from proxy.http.lists import iso_time, iso_time_or_none
from proxy.http.replies import reply
from proxy.http.resource import Resource, endpoint
from proxy.storage import audit


class ShownAlert(msgspec.Struct, frozen=True, kw_only=True):
    """A trouble of one `machine`, or of the whole cluster. `mailed_at` is null in its first minute, and
    `gone_at` is set in the minute after its end."""

    kind: str
    title: str
    name: str
    machine: str
    detail: str
    since: str
    mailed_at: str | None
    gone_at: str | None


class ShownAlerts(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[ShownAlert]


class AlertTest(msgspec.Struct, frozen=True, kw_only=True):
    """The number of mails that are on their way."""

    mails: int


class Alerts(Resource):
    def __init__(self, admin_tools: AdminTools, mails: Mails, section: AlertSection) -> None:
        self._admin_tools = admin_tools
        self._mails = mails
        self._section = section

    @endpoint("GET", "/admin/alerts", ShownAlerts)
    async def list_alerts(self, _request: Request) -> Response:
        """What needs an operator now"""
        rows = await records.list_all(self._admin_tools.store)
        return reply(ShownAlerts(data=[_shown(row) for row in rows]))

    @endpoint("POST", "/admin/alerts/test", AlertTest, failures=(Conflict,))
    async def test_alerts(self, request: Request) -> Response:
        """Send a test to all addresses of [alerts]"""
        if not self._mails.is_on:
            raise Conflict("There is no [mail] to send alerts by.")
        if not self._section.mail:
            raise Conflict("There is no address in [alerts] mail.")
        tools = self._admin_tools
        now = await tools.store.now()
        alert = Alert(id="test", kind="test", name="voxgate alerts test", detail="All is well.", since=now)
        statements = await mail_statements(self._mails, self._section, alert, now)
        act = await tools.act_if_admin(request, "alerts.tested", "alerts", None)
        await tools.store.write(*audit.insert_statements(act), *statements)
        self._mails.look_now()
        return reply(AlertTest(mails=len(statements)))


def _shown(alert: Alert) -> ShownAlert:
    return ShownAlert(
        kind=alert.kind,
        title=TITLES[alert.kind],
        name=alert.name,
        machine=alert.machine,
        detail=alert.detail,
        since=iso_time(alert.since),
        mailed_at=iso_time_or_none(alert.mailed),
        gone_at=iso_time_or_none(alert.gone),
    )
