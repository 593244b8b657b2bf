"""The money table: what the provider billed in every row, and what the account paid for it.

A provider bills the characters of each text that it answers, and a fee for each clone. The plans here take a
credit a character and 300 a clone: so an account pays what was billed. One worker,
which keeps its holds to itself, is in `make soak`, with all rows on all plans.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import httpx2
import pytest

from fakes.faults import ScriptedFault
from fakes.provider import RequestRecord
from tests import speech_clips
from tests.databases import Postgres
from tests.faults.clouds import COSTS_MICRO, ENVIRON, Clouds, clouds
from tests.fixtures import opened
from tests.redis_server import RedisServer
from tests.server import Server, running
from tests.tables import soak
from tests.waiting import until

pytestmark = pytest.mark.slow

PLANS: Mapping[str, int] = {"free": 0, "basic": 1, "pro": 20}
"""The clones that each plan has in a cycle."""
FEE_USD = 1.5
ORDERED_CLONES = 2
CONFIG = """
[server]
default_model = "cloud"
[models]
cloud = ["openai/gpt-4o-mini-tts"]
two = ["flaky/gpt-4o-mini-tts", "openai/gpt-4o-mini-tts"]
[voices.ada]
openai = "alloy"
flaky = "alloy"
worn-free = "alloy"
worn-basic = "alloy"
worn-pro = "alloy"
"""
PLAN = """
[plans.{name}]
allowance = 100000
rpm = 1000
streams = 5
clones = {clones}
prices.speech = {{ credits = 1, per = "character" }}
prices.cached = {{ credits = 1, per = "character" }}
prices.clone = {{ credits = 300, per = "job" }}
"""
LONG = "Word after word after word, and so it goes on. " * 60


class Table(NamedTuple):
    """A server of so many workers."""

    server: Server
    clouds: Clouds
    workers: int


class Account:
    """An account of its own for each row, and the requests that it makes."""

    def __init__(self, table: Table, name: str, plan: str) -> None:
        self.name, self.plan = name, plan
        self._table = table
        self._server, self._clouds, self.workers = table
        self._key = table.server.mint_key(name, plan=plan).secret

    def __repr__(self) -> str:
        return f"<Account {self.name}>"

    @property
    def text(self) -> str:
        return f"This is said for {self.name}."

    def ask(self, **more: Any) -> httpx2.Response:
        headers = {"idempotency-key": more.pop("once")} if "once" in more else {}
        with self._client() as client:
            return client.post("/v1/audio/speech", json=self._body(**more), headers=headers)

    def ask_and_leave(self, **more: Any) -> None:
        """Hear the first bytes, and hang up."""
        body = self._body(**more)
        with self._client() as client, client.stream("POST", "/v1/audio/speech", json=body) as answer:
            assert answer.status_code == 200, answer.read()
            next(answer.iter_raw())

    def clone(self, name: str) -> httpx2.Response:
        """Order a voice of a recording with a clone at a provider, and wait for it."""
        agreed = {"name": name, "language": "en", "statement": "Agreed on paper."}
        with self._client() as client:
            consent = client.post("/v1/audio/voice_consents", json=agreed).raise_for_status().json()["id"]
            fields = {"name": name, "consent": consent, "engines[]": "minimax"}
            files = {"audio_sample": ("a.wav", speech_clips.wav(), "audio/wav")}
            made = client.post("/v1/audio/voices", data=fields, files=files)
            if made.is_success:
                where = f"/v1/audio/voices/{made.json()['id']}"
                until(lambda: client.get(where).json()["clones"][0]["state"] == "ready")
            return made

    def delete(self, made: httpx2.Response) -> None:
        with self._client() as client:
            client.delete(f"/v1/audio/voices/{made.json()['id']}").raise_for_status()

    @property
    def paid(self) -> float:
        with self._client() as client:
            used: float = client.get("/v1/me").json()["credits"]["used"]
            return used

    @property
    def cost_usd(self) -> float:
        """What the server believes that the providers took for this account."""
        with self._server.control() as control:
            sums = control.get("/admin/usage", params={"by": "operation", "account": self.name}).json()[
                "data"
            ]
            return sum(each["cost_usd"] or 0 for each in sums)

    def sent(self) -> list[RequestRecord]:
        """The requests that reached the provider of speech with this account's texts."""
        seen = self._clouds.report("openai").requests
        return [each for each in seen if self.text in (each.json or {}).get("input", "")]

    def billed(self) -> list[int]:
        """The characters of each of those that were answered."""
        return [len(each.json["input"]) for each in self.sent() if each.status == 200]

    def cloned(self) -> int:
        """The clones that a provider has taken its fee for: with the first word of each."""
        spoken = [each for each in self._clouds.report("minimax").requests if "t2a_v2" in each.path]
        return len({each.json["voice_setting"]["voice_id"] for each in spoken if each.status == 200})

    def fail(self, engine: str, count: int) -> None:
        self._clouds.fail(engine, "openai", [ScriptedFault(name="5xx", status=500, count=count)])

    def requests_at(self, engine: str) -> int:
        return len(self._clouds.spoken(engine, "openai"))

    def neighbour(self) -> "Account":
        return Account(self._table, f"{self.name}-neighbour", self.plan)

    def _client(self) -> httpx2.Client:
        # A connection of its own each time, so that any worker may get it.
        headers = {"authorization": f"Bearer {self._key}", "connection": "close"}
        return httpx2.Client(base_url=self._server.url, headers=headers, timeout=60.0)

    def _body(self, **more: Any) -> dict[str, Any]:
        return {"model": "cloud", "voice": "ada", "input": self.text, "response_format": "pcm", **more}


def in_json(account: Account) -> None:
    answer = account.ask(response_format="json", audio_format="pcm")
    assert answer.json()["usage"]["characters"] == len(account.text)


def signed(account: Account) -> None:
    answer = account.ask(response_format="mp3", provenance="c2pa")
    assert answer.status_code == 200, answer.text
    # What has no place for a manifest is refused before anybody is paid.
    assert account.ask(response_format="pcm", provenance="c2pa").status_code == 400


def asked_twice_with_a_key(account: Account) -> None:
    first, again = (account.ask(once=account.name) for _ in range(2))
    assert (again.headers["x-voxgate-replayed"], again.content) == ("true", first.content)


def asked_twice_of_the_cache(account: Account) -> None:
    first, again = (account.ask(cache=True) for _ in range(2))
    assert (again.headers["x-voxgate-cache"], again.content) == ("hit", first.content)


def left_in_the_middle(account: Account) -> None:
    account.ask_and_leave(input=account.text + LONG)


def failed_by_one_and_spoken_by_the_next(account: Account) -> None:
    account.fail("flaky", 1)
    answer = account.ask(model="two")
    assert (answer.status_code, answer.headers["x-voxgate-engine"]) == (200, "openai/gpt-4o-mini-tts")


def failed_again_and_again(account: Account) -> None:
    """Who brings about faults keeps nobody else from being served, and pays nothing for them."""
    engine = f"worn-{account.plan}"
    before = account.requests_at(engine)
    # After five faults, a worker refuses the account itself. What it then left is met by another account.
    faults = 5 if account.workers == 1 else 6
    account.fail(engine, faults)
    assert {account.ask(model=f"{engine}/gpt-4o-mini-tts").status_code for _ in range(6)} == {503}
    faults_left = faults - (account.requests_at(engine) - before)
    another = Account(account._table, f"{account.name}-another", account.plan)
    for _ in range(faults_left):
        assert another.ask(model=f"{engine}/gpt-4o-mini-tts").status_code == 503
    neighbour = account.neighbour()
    assert neighbour.ask(model=f"{engine}/gpt-4o-mini-tts").status_code == 200
    assert neighbour.billed() == [neighbour.paid]


def cloned_and_deleted(account: Account) -> None:
    """Until the plan has no more."""
    for number in range(ORDERED_CLONES):
        made = account.clone(f"Ana {number}")
        if not made.is_success:
            assert made.json()["error"]["code"] in ("clones_not_allowed", "insufficient_quota")
            return
        account.delete(made)


class Row(NamedTuple):
    """What is done, how many texts are billed and how often each is paid for, and how many clones ordered."""

    act: Callable[[Account], None]
    texts: int
    times: int = 1
    clones: int = 0


ROWS = (
    Row(in_json, 1),
    Row(signed, 1),
    Row(asked_twice_with_a_key, 1),
    # A cached answer has a price of its own, which the operator keeps.
    Row(asked_twice_of_the_cache, 1, times=2),
    Row(left_in_the_middle, 1),
    Row(failed_by_one_and_spoken_by_the_next, 1),
    Row(failed_again_and_again, 0),
    Row(cloned_and_deleted, 0, clones=ORDERED_CLONES),
)


providers = opened(clouds, scope="module")


@pytest.fixture(scope="module", params=[2, *soak(1)])
def table(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, providers: Clouds
) -> Iterator[Table]:
    environ = {**ENVIRON}
    if request.param > 1:
        database: Postgres = request.getfixturevalue("shared_postgres")
        redis: RedisServer = request.getfixturevalue("shared_redis")
        environ["VOXGATE_STORAGE__URL"] = database.url(search_path=database.new_schema())
        environ["VOXGATE_LIMITS__URL"] = redis.url
        environ["VOXGATE_SERVER__WORKERS"] = str(request.param)
    fee = f'costs.clone = {{ usd = {FEE_USD}, per = "job" }}\n'
    engines = (
        providers.engine("openai", "openai"),
        *(providers.engine(name, "openai") for name in ("flaky", *(f"worn-{plan}" for plan in PLANS))),
        providers.engine("minimax", "minimax", fee),
    )
    plans = (PLAN.format(name=name, clones=clones) for name, clones in PLANS.items())
    config = "\n".join((CONFIG, *engines, *plans))
    with running(tmp_path_factory.mktemp("money"), config, environ=environ) as server:
        yield Table(server, providers, request.param)


def test_an_account_pays_what_its_provider_billed(table: Table, subtests: pytest.Subtests) -> None:
    """On every plan where the plan counts, and with one worker on every plan for all."""
    for row in ROWS:
        for plan in PLANS if row.clones or table.workers == 1 else ("basic",):
            with subtests.test(f"{row.act.__name__} {plan}"):
                expect_to_pay_what_was_billed(table, row, plan)


def expect_to_pay_what_was_billed(table: Table, row: Row, plan: str) -> None:
    name = f"{row.act.__name__.replace('_', '-')}-{plan}-{table.workers}"
    account = Account(table, name, plan)
    before = account.cloned()
    row.act(account)
    clones, owed = min(row.clones, PLANS[plan]), sum(account.billed()) * row.times
    until(lambda: account.paid >= owed)
    billed = account.billed()
    assert (len(billed), account.cloned() - before) == (row.texts, clones)
    assert account.paid == sum(billed) * row.times + 300 * clones
    # Whether a provider bills what it failed at is not known, so the operator's costs have it.
    characters = sum(len(each.json["input"]) for each in account.sent())
    assert account.cost_usd == pytest.approx(characters * COSTS_MICRO / 1e6 + FEE_USD * clones)
