"""Rows of runs on rented machines, with their reserved and charged money. The commit of a run's end charges
it. Until then its greatest possible cost counts against the ceilings."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

import msgspec

from policies.cycles import start_of_day
from proxy.storage.costs import Cost
from proxy.storage.rows import columns, in_list, read_known
from proxy.storage.store import AlreadyExists, Condition, Params, Statement, Store
from proxy.storage.tables import Table
from speech_engine.redacted import Redacted

State = Literal["starting", "running", "done", "failed", "canceled", "lost", "refused"]
End = Literal["done", "failed", "canceled", "lost", "refused"]


class Run(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """A run of a piece of work, which is a job's step or the introduction of an engine. `step` and `job` are
    ids. `content` is the digest of the work. `name` is the provider's. Times are in microseconds: until
    `asked_by` the request may be under way, and at `over_at` the run is certainly over."""

    id: str
    piece: str
    number: int
    engine: str
    runner: str
    account: str
    job: str
    step: str
    content: str
    samples: str
    state: State = "starting"
    name: str = ""
    begun: int
    asked_by: int
    over_at: int
    ended: int | None = None
    most_micro_usd: int
    micro_usd: int = 0

    @property
    def is_open(self) -> bool:
        return self.ended is None


class Ceilings(msgspec.Struct, frozen=True):
    """The most that an engine may cost in a day, for one job, and for one account in a day. If
    `account_micro_usd` is None, an account may use half of the engine's day, or all of it while there is only
    one account."""

    day_micro_usd: int
    job_micro_usd: int
    account_micro_usd: int | None = None

    @property
    def params(self) -> dict[str, int]:
        alone, shared = self.day_micro_usd, self.day_micro_usd // 2
        if self.account_micro_usd is not None:
            alone = shared = self.account_micro_usd
        day, job = self.day_micro_usd, self.job_micro_usd
        return {"most_of_day": day, "most_of_job": job, "most_alone": alone, "most_shared": shared}


ReachedCeiling = Literal["job", "day", "account", "held"]
"""The reached ceiling: by spent money, or by money `held` for open runs."""

TABLES = (
    Table("remote_runs", closed_with=()),
    Table("remote_engines", key=("engine",), owner="''"),
)

_RUN = columns(Run)
_LOCK_ENGINE = """
INSERT INTO remote_engines (engine) VALUES (:engine)
ON CONFLICT (engine) DO UPDATE SET engine = excluded.engine
"""
_OF_DAY = """
(SELECT coalesce(sum(micro_usd), 0) FROM costs WHERE engine = :engine AND at >= :day)
+ (SELECT coalesce(sum(most_micro_usd), 0) FROM remote_runs WHERE engine = :engine AND ended IS NULL)
"""
_OF_JOB = """
(SELECT coalesce(sum(CASE WHEN ended IS NULL THEN most_micro_usd ELSE micro_usd END), 0)
FROM remote_runs WHERE job = :job AND job <> '' AND engine = :engine)
"""
# The introduction of an engine belongs to no account.
_OF_ACCOUNT = """
(SELECT coalesce(sum(micro_usd), 0) FROM costs
WHERE account = :account AND account <> '' AND engine = :engine AND at >= :day)
+ (SELECT coalesce(sum(most_micro_usd), 0) FROM remote_runs
WHERE account = :account AND account <> '' AND engine = :engine AND ended IS NULL)
"""
_MOST_OF_ACCOUNT = """
CASE WHEN (SELECT count(*) FROM (SELECT id FROM accounts WHERE closed IS NULL LIMIT 2) AS two) < 2
THEN CAST(:most_alone AS BIGINT) ELSE CAST(:most_shared AS BIGINT) END
"""
_TYPES = {each.name: each.type for each in msgspec.structs.fields(Run)}
_VALUES = ", ".join(
    f"CAST(:{name} AS {'BIGINT' if type_ in (int, int | None) else 'TEXT'})" for name, type_ in _TYPES.items()
)
_BEGIN = f"""
INSERT INTO remote_runs ({_RUN}, tag)
SELECT {_VALUES}, coalesce((SELECT tag FROM jobs WHERE jobs.id = CAST(:job AS TEXT)), '')
WHERE {_OF_DAY} + CAST(:most_micro_usd AS BIGINT) <= CAST(:most_of_day AS BIGINT)
AND {_OF_JOB} + CAST(:most_micro_usd AS BIGINT) <= CAST(:most_of_job AS BIGINT)
AND (:account = '' OR {_OF_ACCOUNT} + CAST(:most_micro_usd AS BIGINT) <= {_MOST_OF_ACCOUNT})
"""
# A recording leaves only while its voice is there. An erasure holds the row of the engine, too.
_ARE_STORED = "AND (SELECT count(DISTINCT digest) FROM samples WHERE digest IN ({names})) = {number}"
_SPENT = f"""
SELECT CAST({_OF_DAY} AS BIGINT) AS of_day, CAST({_OF_JOB} AS BIGINT) AS of_job,
    CAST((SELECT coalesce(sum(most_micro_usd), 0) FROM remote_runs
    WHERE engine = :engine AND ended IS NULL) AS BIGINT) AS held_of_day,
    CAST((SELECT coalesce(sum(most_micro_usd), 0) FROM remote_runs
    WHERE job = :job AND job <> '' AND engine = :engine AND ended IS NULL) AS BIGINT) AS held_of_job,
    CAST({_OF_ACCOUNT} AS BIGINT) AS of_account, {_MOST_OF_ACCOUNT} AS most_of_account,
    CAST((SELECT coalesce(sum(most_micro_usd), 0) FROM remote_runs
    WHERE account = :account AND engine = :engine AND ended IS NULL) AS BIGINT) AS held_of_account
"""
_LATEST = f"SELECT {_RUN} FROM remote_runs WHERE piece = :piece ORDER BY number DESC LIMIT 1"
_OPEN = f"SELECT {_RUN} FROM remote_runs WHERE ended IS NULL ORDER BY begun"
_ENDED = "SELECT name, ended FROM remote_runs WHERE runner = :runner AND name <> '' AND ended >= :since"
_WRITE_NAME = "UPDATE remote_runs SET state = 'running', name = :name WHERE id = :id AND ended IS NULL"
_END = """
UPDATE remote_runs SET state = :state, ended = :now, micro_usd = :micro_usd
WHERE id = :id AND ended IS NULL RETURNING id
"""
_CHANGE_END = "UPDATE remote_runs SET state = :state WHERE id = :id AND ended IS NOT NULL"
_CHARGE = f"""
INSERT INTO costs ({columns(Cost)}, job, tag)
SELECT id, 0, account, CAST(:now AS BIGINT), engine, '', 0, 0, NULL, micro_usd, job, tag FROM remote_runs
WHERE id = :id AND ended IS NOT NULL AND micro_usd > 0 ON CONFLICT (request, attempt) DO NOTHING
"""
_WITH_SAMPLE = f"""
SELECT {_RUN} FROM remote_runs
WHERE engine = :engine AND (ended IS NULL OR ended >= :since AND state <> 'canceled')
AND samples LIKE '% ' || :digest || ' %'
"""
_FOR_RECORDING = f"""
SELECT {_RUN} FROM remote_runs
WHERE id = :id AND ended IS NULL AND over_at > :now AND samples LIKE '% ' || :digest || ' %'
AND EXISTS (SELECT 1 FROM samples WHERE samples.account = remote_runs.account AND samples.digest = :digest)
"""
_OPEN_AT = f"SELECT {_RUN} FROM remote_runs WHERE id = :id AND ended IS NULL AND over_at > :now"
_IS_OPEN = "EXISTS (SELECT 1 FROM remote_runs WHERE remote_runs.id = :run AND remote_runs.ended IS NULL)"
_COUNT_OPEN = "SELECT runner, count(*) AS runs FROM remote_runs WHERE ended IS NULL GROUP BY runner"
# The introduction of an engine has the same name for years. Without its last row, the numbers would begin
# again, and a charge with an old number would not count.
_FORGET = "DELETE FROM remote_runs WHERE ended < :before AND step <> ''"


async def find_latest_run(store: Store, piece: str) -> Run | None:
    rows = await store.read(_LATEST, {"piece": piece})
    return msgspec.convert(rows[0], Run) if rows else None


async def list_open_runs(store: Store) -> list[Run]:
    return read_known(await store.read(_OPEN), Run)


async def list_ended_runs(store: Store, runner: str, since: int) -> dict[str, int]:
    """Return when the runs of a runner ended that ended since then, by the provider's name."""
    return {row["name"]: row["ended"] for row in await store.read(_ENDED, {"runner": runner, "since": since})}


async def count_open_runs(store: Store) -> dict[str, int]:
    return {row["runner"]: row["runs"] for row in await store.read(_COUNT_OPEN)}


async def begin_run(store: Store, run: Run, ceilings: Ceilings) -> bool:
    """Add a run and reserve its cost, before its provider gets a request. False: another worker has begun the
    run of this number, a recording was deleted, or a ceiling is reached; see `find_reached_ceiling`."""
    only_stored = ""
    samples: Params = {}
    if digests := sorted({*run.samples.split()}):
        names, samples = in_list(digests, "sample")
        only_stored = _ARE_STORED.format(names=names, number=len(digests))
    values = {**msgspec.structs.asdict(run), "day": start_of_day(run.begun)}
    try:
        _, added = await store.write(
            Statement(_LOCK_ENGINE, {"engine": run.engine}),
            Statement(f"{_BEGIN} {only_stored} RETURNING id", {**values, **ceilings.params, **samples}),
        )
    except AlreadyExists:
        return False  # a piece has one run of each number
    return bool(added)


async def find_reached_ceiling(store: Store, run: Run, ceilings: Ceilings) -> ReachedCeiling | None:
    """Return the ceiling that prevents a run: "held" if it would fit without the reserved money of open runs.
    None: no ceiling prevents it."""
    of_run: Params = {
        "engine": run.engine,
        "account": run.account,
        "job": run.job,
        "day": start_of_day(run.begun),
    }
    (spent,) = await store.read(_SPENT, {**of_run, **ceilings.params})
    most: dict[ReachedCeiling, int] = {"job": ceilings.job_micro_usd, "day": ceilings.day_micro_usd}
    if run.account:
        most["account"] = spent["most_of_account"]
    excess = {name: spent[f"of_{name}"] + run.most_micro_usd - ceiling for name, ceiling in most.items()}
    # These are reached even if the open runs cost nothing.
    reached = (name for name, micro_usd in excess.items() if micro_usd > spent[f"held_of_{name}"])
    return next(reached, "held" if max(excess.values()) > 0 else None)


async def write_run_name(store: Store, run: Run, name: str) -> None:
    """Write the provider's name of a run, unless the run has ended meanwhile."""
    await store.write(Statement(_WRITE_NAME, {"id": run.id, "name": name}))


async def end_run(store: Store, run: Run, state: End, micro_usd: int) -> bool:
    """End a run, and charge it once. False: it had ended before."""
    now = await store.now()
    ended: dict[str, str | int] = {"id": run.id, "state": state, "now": now, "micro_usd": micro_usd}
    rows, _ = await store.write(Statement(_END, ended), Statement(_CHARGE, {"id": run.id, "now": now}))
    return bool(rows)


async def discard_result(store: Store, run: str, state: End) -> None:
    """Give an ended run another end, because its result is useless or gone. The next run begins again."""
    await store.write(Statement(_CHANGE_END, {"id": run, "state": state}))


async def list_runs_with_samples(
    store: Store, engine: str, digests: Collection[str], since: int
) -> list[Run]:
    """List the runs of an engine that had one of these recordings: open ones, and those ended since then,
    without canceled ones. After this call, no run with a recording that was deleted before it begins."""
    queries = [
        Statement(_WITH_SAMPLE, {"engine": engine, "digest": digest, "since": since}) for digest in digests
    ]
    _, *found = await store.write(Statement(_LOCK_ENGINE, {"engine": engine}), *queries)
    return list({row["id"]: msgspec.convert(row, Run) for rows in found for row in rows}.values())


async def find_run_of_sample(store: Store, id_: str, digest: str) -> Run | None:
    """Return the run if it may fetch this recording now: it is open, has this recording, and the recording
    still exists."""
    params: Params = {"id": id_, "digest": digest, "now": await store.now()}
    rows = await store.read(_FOR_RECORDING, params)
    return msgspec.convert(rows[0], Run) if rows else None


async def find_open_run(store: Store, id_: str) -> Run | None:
    """Return a run that is open, and not past its time."""
    rows = await store.read(_OPEN_AT, {"id": id_, "now": await store.now()})
    return msgspec.convert(rows[0], Run) if rows else None


def is_open_condition(run: Run) -> Condition:
    return Condition(_IS_OPEN, {"run": run.id})


async def delete_old_runs(store: Store, before: int) -> None:
    """Delete the rows of runs that ended before then. Their costs stay."""
    await store.write(Statement(_FORGET, {"before": before}))
