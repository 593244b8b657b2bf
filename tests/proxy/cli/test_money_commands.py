"""`voxgate accounts|ledger|plans|usage|audit`: plans and money without a server, and what they refuse."""

import asyncio
import csv
import io
from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from proxy.feature_list import open_store
from proxy.storage import entries, usage
from proxy.storage.store import Statement
from tests.proxy.cli.test_main import Run, folder, refused, run
from tests.proxy.storage.test_usage import ROW

pytestmark = pytest.mark.slow

__all__ = ["folder", "run"]


async def written(data: Path, *statements: Statement) -> None:
    async with open_store("sqlite", data) as store:
        await store.write(*statements)


def test_limits_are_agreed_and_taken_back(run: Run) -> None:
    agreed = ("--allowance", "10.5", "--rpm", "5", "--streams", "1", "--voices", "0")
    made = run("accounts", "create", "ada", "--plan", "enterprise", *agreed, "--json").json
    assert (made["plan"], made["agreed"]["allowance"], made["agreed"]["voices"]) == ("enterprise", 10.5, 0)
    changed = run("accounts", "set-plan", "ada", "pro", "--rpm", "none", "--json").json
    assert (changed["agreed"]["rpm"], changed["agreed"]["streams"]) == (None, 1)
    assert run("accounts", "show", "ada", "--json").json["balance"]["left"] == 10.5


def test_what_is_agreed_changes_without_a_word_of_the_plan(run: Run) -> None:
    run("accounts", "create", "ada", "--plan", "pro", "--rpm", "5")
    changed = run("accounts", "set-plan", "ada", "--rpm", "7", "--json").json
    assert (changed["plan"], changed["agreed"]["rpm"]) == ("pro", 7)


def test_everything_agreed_is_taken_back_at_once(run: Run) -> None:
    run("accounts", "create", "ada", "--allowance", "10.5", "--voices", "0")
    changed = run("accounts", "set-plan", "ada", "pro", "--agreed", "none", "--rpm", "7", "--json").json
    assert {name: value for name, value in changed["agreed"].items() if value is not None} == {"rpm": 7}


def test_a_limit_without_an_option_is_agreed_in_a_file(folder: Path, run: Run) -> None:
    file = folder / "agreed.json"
    file.write_text('{"engines": ["tone"], "rpm": 5, "streams": 2, "budget_usd_day": 1.5}')
    made = run("accounts", "create", "ada", "--agreed", str(file), "--rpm", "9", "--json").json["agreed"]
    assert (made["engines"], made["budget_usd_day"]) == (["tone"], 1.5)
    assert (made["rpm"], made["streams"]) == (9, 2)
    file.write_text('{"engines": null, "prices": {"speech": {"credits": 2, "per": "job"}}}')
    changed = run("accounts", "set-plan", "ada", "free", "--agreed", str(file), "--json").json["agreed"]
    assert (changed["engines"], changed["streams"]) == (None, 2)
    assert changed["prices"]["speech"] == {"credits": 2, "per": "job"}
    for text, says in (
        ("[]", "must have a JSON object in it"),
        ("{", 'write one such as {"rpm": 60}, or --agreed none'),
        ("", "cannot be read: Expecting value: line 1 column 1 (char 0); write one such as"),
        ("{}", "must have a JSON object in it"),
        ('{"x": 1}', "agreed.x"),
    ):
        file.write_text(text)
        assert says in refused(run("accounts", "set-plan", "ada", "free", "--agreed", str(file)))
    assert "cannot be read" in refused(run("accounts", "create", "bob", "--agreed", str(folder / "gone")))


def test_lists_go_on_to_their_end(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.cli.admin_requests._MOST_A_PAGE", 2)
    names = [f"account-{number}" for number in range(5)]
    for name in names:
        run("accounts", "create", name)
        run("keys", "create", "--account", name)
    listed = run("accounts", "list", "--json").json
    assert [row["name"] for row in listed["data"]] == names[::-1]
    assert not listed["has_more"]
    assert len(run("keys", "list", "--json").json["data"]) == 5
    assert len(run("keys", "list", "--account", names[0], "--json").json["data"]) == 1
    assert run("accounts", "list").out.count("account-") == 5


def test_credits_are_granted_corrected_and_listed(run: Run) -> None:
    run("accounts", "create", "ada")
    for _ in range(2):
        run("accounts", "grant", "ada", "100.123456", "--reference", "r1", "--reason", "paid")
    run("accounts", "correct", "ada", "-0.1", "--reason", "twice")
    listed = run("ledger", "entries", "ada", "--json").json["data"]
    assert [(entry["kind"], entry["credits"]) for entry in listed] == [
        ("correction", -0.1),
        ("grant", 100.123456),
    ]
    shown = run("accounts", "show", "ada")
    assert "100.023456" in shown.out
    first = run("ledger", "entries", "ada", "--limit", "1", "--json").json
    rest = run("ledger", "entries", "ada", "--after", first["last_id"], "--json").json
    assert [entry["kind"] for entry in rest["data"]] == ["grant"]


def test_a_movement_is_answered_with_the_balance_after_it(run: Run) -> None:
    run("accounts", "create", "ada", "--plan", "basic")
    granted = run("accounts", "grant", "ada", "100", "--json").json
    assert (granted["credits"], granted["balance"]["granted"], granted["balance"]["available"]) == (
        100,
        100,
        3700,
    )
    corrected = run("accounts", "correct", "ada", "-1.5", "--reason", "twice", "--json").json
    assert (corrected["credits"], corrected["balance"]["granted"]) == (-1.5, 98.5)
    assert "3698.25" in run("accounts", "correct", "ada", "-0.25", "--reason", "again").out


def test_a_refund_says_how_much_came_back_and_shows_no_entry_of_nothing(folder: Path, run: Run) -> None:
    account = run("accounts", "create", "ada", "--plan", "basic", "--json").json
    start = run("accounts", "show", "ada", "--json").json["cycle"]["start"]
    pool = int(datetime.fromisoformat(start).timestamp()) * 1_000_000
    spent = [
        entries.make_spend_entry("req_1", account["id"], each, 2_000_000, at=pool, actor="key_1")
        for each in (pool, entries.GRANTED)
    ]
    asyncio.run(
        written(
            folder / "data", *(statement for entry in spent for statement in entries.insert_statements(entry))
        )
    )
    refund = ("ledger", "refund", "req_1", "--credits", "0.5", "--reason", "sorry")
    printed = run(*refund)
    assert "0.5 credits were given back." in printed.out
    assert "3596.5" in printed.out
    listed = run("ledger", "entries", "ada", "--json").json["data"]
    assert [(entry["kind"], entry["credits"]) for entry in listed if entry["kind"] == "refund"] == [
        ("refund", 0.5)
    ]
    assert "refunded before" in refused(run(*refund))


def test_every_command_is_an_act_of_the_control_socket(run: Run) -> None:
    run("accounts", "create", "ada")
    run("accounts", "create", "bob")
    key = run("keys", "create", "--account", "ada", "--rpm", "3", "--pace", "live", "--json").json
    assert key["caps"] == {"rpm": 3, "streams": None, "max_characters": None, "pace": "live"}
    run("accounts", "grant", "ada", "1")
    acts = run("audit", "--account", "ada", "--json").json["data"]
    assert [(act["actor"], act["action"]) for act in acts] == [
        ("control", "credits.granted"),
        ("control", "key.created"),
        ("control", "account.created"),
    ]
    assert [act["action"] for act in run("audit", "--since", "2999-01-01", "--json").json["data"]] == []
    printed = run("audit")
    assert printed.out.count("account.created") == 2
    assert key["key"] not in printed.out


def test_plans_are_those_of_the_configuration(run: Run) -> None:
    run("accounts", "create", "ada", "--plan", "basic")
    rows = {row["name"]: row for row in run("plans", "--json").json["data"]}
    assert (rows["basic"]["allowance"], rows["basic"]["accounts"]) == (3600, 1)
    assert "$19" in run("plans").out


def test_plans_have_a_column_for_each_price(run: Run) -> None:
    prices = [name for name in run("plans", "--json").json["data"][0]["prices"] if name != "models"]
    assert "cached" in prices
    heads = run("plans", "--wide").out.splitlines()[0].split()
    assert heads[-len(prices) - 1 :] == [*prices, "accounts"]


def test_usage_is_listed_summed_and_exported(folder: Path, run: Run) -> None:
    rows = [
        msgspec.structs.replace(ROW, id=f"req_{n}", credits=n * 500_000, voice="=1+1", micro_usd=250_000)
        for n in range(3)
    ]
    asyncio.run(written(folder / "data", *map(usage.insert_statement, rows)))
    listed = run("usage", "--limit", "2", "--json").json
    assert [(row["id"], row["credits"], row["cost_usd"]) for row in listed["data"]] == [
        ("req_2", 1, 0.25),
        ("req_1", 0.5, 0.25),
    ]
    assert "There are more" in run("usage", "--limit", "2").out
    always = ("--since", "1970-01-01")
    (model,) = run("usage", *always, "--by", "model", "--json").json["data"]
    assert (model["name"], model["requests"], model["credits"]) == ("espeak/standard", 3, 1.5)
    assert "espeak/standard" in run("usage", *always, "--by", "model").out
    exported = list(csv.DictReader(io.StringIO(run("usage", "--csv").out)))
    assert [(row["id"], row["voice"]) for row in exported] == [(f"req_{n}", "'=1+1") for n in (2, 1, 0)]
    ada = run("accounts", "create", "ada", "--json").json["id"]
    hers = msgspec.structs.replace(ROW, id="req_hers", account=ada)
    asyncio.run(written(folder / "data", usage.insert_statement(hers)))
    sums = run("usage", *always, "--by", "account", "--json").json["data"]
    assert {(row["name"], row["account_name"]) for row in sums} == {(ROW.account, ""), (ada, "ada")}
    assert ada not in run("usage", *always, "--by", "account").out
    assert run("usage", *always, "--by", "account", "--account", "ada").out.splitlines()[1].startswith("ada ")


@pytest.mark.parametrize("kind", ["rows", "sums", "csv"])
def test_nothing_used_is_an_empty_answer(run: Run, kind: str) -> None:
    if kind == "csv":
        assert run("usage", "--csv").out.startswith("id,started,")
    else:
        by = ("--by", "day") if kind == "sums" else ()
        assert run("usage", *by, "--json").json["data"] == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ("accounts", "create", "bob", "--plan", "enterprise"),
            "line --allowance, --rpm, --streams, --voices",
        ),
        (("accounts", "grant", "ada", "-5"), "to remove credits, use voxgate accounts correct"),
        (("accounts", "create", "bob", "--rpm", "many"), "--rpm: 'many' is neither a whole number nor none"),
        (("accounts", "create", "bob", "--rpm", "0"), "Invalid value for 'agreed.rpm'"),
        (("accounts", "create", "bob", "--max-characters", "1.5"), "--max-characters: '1.5'"),
        (
            ("accounts", "create", "bob", "--allowance", "1e3"),
            "--allowance: '1e3' is not a number",
        ),
        (("accounts", "grant", "ada", "0.0000001"), "CREDITS: '0.0000001' is not a number of credits"),
        (("accounts", "grant", "ada", "0"), "Invalid value for 'credits'"),
        (("accounts", "correct", "ada", "0", "--reason", "x"), "it must not be 0"),
        (("accounts", "correct", "ada", "nan", "--reason", "x"), "CREDITS: 'nan'"),
        (
            ("ledger", "refund", "req_none", "--reason", "x"),
            "charged for 'req_none'; see voxgate usage --wide.",
        ),
        (
            ("ledger", "refund", "", "--reason", "x"),
            "'' names none of the requests; give an id, see",
        ),
        (("ledger", "entries", "nobody"), "There is no account 'nobody'."),
        (("ledger", "entries", "ada", "--after", "ent_none"), "Invalid value for 'after'"),
        (("audit", "--since", "yesterday"), "Invalid value for 'since'"),
        (("usage", "--by", "weekday"), "Invalid value for 'by'"),
        (("usage", "--limit", "5000"), "Invalid value for 'limit'"),
        (("usage", "--csv", "--json"), "use only one of them"),
    ],
)
def test_a_refusal_is_one_line_and_a_status(run: Run, arguments: tuple[str, ...], says: str) -> None:
    run("accounts", "create", "ada")
    assert says in refused(run(*arguments))


def test_books_that_contradict_one_another_are_a_status(folder: Path, run: Run) -> None:
    run("accounts", "create", "ada")
    run("accounts", "grant", "ada", "1")
    assert run("ledger", "verify", "--json").json["is_clean"]
    wrong = Statement("UPDATE balances SET amount = amount + 1")
    asyncio.run(written(folder / "data", wrong))
    ran = run("ledger", "verify")
    assert (ran.status, ran.err) == (1, "")
    assert "a balance is the sum of its entries" in ran.out
