"""[history] and `history_days`: as shipped, taken on by a reload, what is wrong, and what a check says."""

from pathlib import Path

from proxy.config.reload import merge_config
from proxy.config.sections import Config
from proxy.features.history.retention import stored_days
from proxy.features.history.section import SECTION, HistorySection
from tests.proxy.config.files import faults, load
from tests.proxy.diagnosis.test_text_check import findings
from tests.tables import each_row

DAY_US = 86_400 * 1_000_000


def test_days_are_those_of_the_plan_or_of_the_server(tmp_path: Path) -> None:
    assert SECTION.of(load(tmp_path, "")) == HistorySection(days=30.0, account_mb=512)
    lines = "[history]\ndays = 0.5\n[plans.long]\nhistory_days = 90\n[plans.none]\nhistory_days = 0"
    config = load(tmp_path, lines, VOXGATE_HISTORY__ACCOUNT_MB="7")
    stored = stored_days(config)
    days = [stored.us_of(plan) / DAY_US for plan in ("long", "none", "unlimited", "gone")]
    assert (days, stored.longest_us) == ([90, 0, 0.5, 0.5], 90 * DAY_US)
    assert SECTION.of(config).account_mb == 7


def test_a_reload_takes_it_on() -> None:
    read = Config(features={"history": HistorySection(days=1.0)})
    reload = merge_config(Config(), read, (SECTION,))
    assert (reload.config, reload.changed, reload.needs_restart) == (read, ("history",), ())


@each_row(
    "lines, wrong",
    [
        ("[history]\ndays = -1", "history.days: must be a number of days, 0"),
        ("[history]\ndays = 3651", "history.days: must be a number of days, 0"),
        ("[history]\naccount_mb = 1.5", "history.account_mb: must be a number of megabytes"),
        ("[history]\nday = 1", "no such key"),
        ("[plans.a]\nhistory_days = -1", "plans.a.history_days: must be a number of days, 0"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, lines: str, wrong: str) -> None:
    (fault,) = faults(tmp_path, lines)
    assert wrong in fault


@each_row(
    "lines, name, found",
    [
        ("", "on request", "up to 512 MB of an account, for 30 day(s) or those of its plan"),
        ("[history]\ndays = 0", "none", "nothing is kept"),
        ("[history]\naccount_mb = 0\n[plans.a]\nhistory_days = 9", "none", "nothing is kept"),
        (
            "[history]\ndays = 0\n[plans.a]\nhistory_days = 9",
            "on request",
            "up to 512 MB of an account, for 0 day(s) or those of its plan",
        ),
    ],
)
def test_a_check_has_a_line(tmp_path: Path, lines: str, name: str, found: str) -> None:
    (finding,) = findings(load(tmp_path, lines), "history").values()
    assert (finding.name, finding.found, finding.verdict) == (name, found, "ok")
