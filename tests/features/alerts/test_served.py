"""/admin/alerts and `voxgate alerts …`: there with a section alone, and for operators alone."""

from pathlib import Path

import msgspec
import pytest

from policies.alerts import Alert, AlertChange
from proxy.config.finding import NO_RESULTS
from proxy.engines.registry import Registry
from proxy.features.alerts import records
from proxy.features.alerts.feature import FEATURE
from proxy.features.alerts.section import SECTION, AlertSection
from proxy.features.mail.mails import Mails
from proxy.storage import audit
from tests.features.mail.receiver import receiver
from tests.proxy.api.inside import TONE, Inside, inside
from tests.proxy.cli.test_main import Run, folder, refused, run
from tests.proxy.config.files import faults, load
from tests.tables import each_row

__all__ = ["folder", "run"]

ALERTS = '[alerts]\nmail = ["ops@example.org", "more@example.org"]\n'
MAIL = '[mail]\nurl = "smtp://127.0.0.1:{port}"\nfrom = "voices@example.org"\n'
FAILED = Alert(
    id="engine_failed:a", kind="engine_failed", name="a", detail="state failed", since=0, mailed=60_000_000
)


async def asked(
    server: Inside, method: str, path: str, key: str | None = None
) -> tuple[int, dict[str, object]]:
    async with server.client(server.admin_key if key is None else key) as client:
        answer = await client.request(method, path)
        return answer.status_code, answer.json()


async def test_a_test_reaches_every_address_and_the_list_shows_what_is_wrong(tmp_path: Path) -> None:
    async with (
        receiver() as served,
        inside(tmp_path, TONE + ALERTS + MAIL.format(port=served.port)) as server,
    ):
        assert await asked(server, "POST", "/admin/alerts/test") == (200, {"mails": 2})
        mails = server.worker.open_features.context.find(Mails)
        await mails.look()
        await mails.finish()
        assert sorted(served.to) == ["more@example.org", "ops@example.org"]
        assert served.got[0]["Subject"] == "[alert] A test: voxgate alerts test"
        (act,) = [
            act
            for act in await audit.list_acts(server.worker.store, limit=9)
            if act.action == "alerts.tested"
        ]
        assert "@" not in f"{act}"
        new = msgspec.structs.replace(FAILED, mailed=None)
        changes = (AlertChange("save", new), AlertChange("send", FAILED))
        await server.worker.store.write(*map(records.change_statement, changes))
        status, shown = await asked(server, "GET", "/admin/alerts")
        assert (status, shown["data"]) == (
            200,
            [
                {
                    "kind": "engine_failed",
                    "title": "An engine has failed",
                    "name": "a",
                    "machine": "",
                    "detail": "state failed",
                    "since": "1970-01-01T00:00:00.000000Z",
                    "mailed_at": "1970-01-01T00:01:00.000000Z",
                    "gone_at": None,
                }
            ],
        )
        for method, path in (("GET", "/admin/alerts"), ("POST", "/admin/alerts/test")):
            assert (await asked(server, method, path, server.key))[0] == 403
            assert (await asked(server, method, path, ""))[0] == 401


@each_row(("text", "statuses"), [("", (200, 409)), (ALERTS, (200, 409)), (MAIL.format(port=9), (200, 409))])
async def test_without_addresses_or_mail_alerts_are_shown_and_no_test_is_sent(
    tmp_path: Path, text: str, statuses: tuple[int, int]
) -> None:
    async with inside(tmp_path, TONE + text) as server:
        found = [
            (await asked(server, *each))[0]
            for each in (("GET", "/admin/alerts"), ("POST", "/admin/alerts/test"))
        ]
        assert tuple(found) == statuses


def test_the_commands_work_without_a_server(run: Run, folder: Path) -> None:
    assert run("alerts", "list").out == "Nothing needs you.\n"
    assert "no [mail]" in refused(run("alerts", "test"))
    file = folder / "config.toml"
    file.write_text(file.read_text() + ALERTS + MAIL.format(port=9))
    assert run("alerts", "list").out == "Nothing needs you.\n"
    assert run("alerts", "test").out == "2 mail(s) are on their way.\n"
    assert run("alerts", "list", "--json").json == {"object": "list", "data": []}


@each_row(
    "value",
    ['"ops@example.org"', '["ops"]', '["Ops <ops@example.org>"]', '["ops@example.org\\nBcc: b@c.de"]'],
)
def test_a_fault_names_the_key(tmp_path: Path, value: str) -> None:
    (fault,) = faults(tmp_path, f"[alerts]\nmail = {value}\n")
    assert fault.startswith("alerts.mail: must be a list of addresses")


@pytest.mark.parametrize("has_mail", [True, False])
def test_check_wants_mail_for_alerts(tmp_path: Path, has_mail: bool) -> None:
    config = load(tmp_path, ALERTS + (MAIL.format(port=9) if has_mail else ""))
    assert SECTION.of(config) == AlertSection(("ops@example.org", "more@example.org"))
    (check,) = FEATURE.checks
    found = [each.verdict for each in check(config, Registry({}, ()), NO_RESULTS)]
    assert found == ([] if has_mail else ["wrong"])
