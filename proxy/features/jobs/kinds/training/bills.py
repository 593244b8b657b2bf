"""The price of trainings: it is held when a training is requested, and charged once when the voice has its
model.

The hold is a row, and the charge has the same id. This is not the job's id, because an Idempotency-Key may
make a job of the same id again after a deletion. The commit that gives the voice its model makes the price
due. If the account ends a training on a rented machine, a part of the price becomes due. A sweep charges due
prices, refunds the holds of jobs that ended otherwise, and deletes their checkpoints.
"""

from __future__ import annotations

import asyncio

import structlog

from policies.plans import Terms
from policies.price import Price, share_of_charge
from proxy.access.callers import Caller
from proxy.errors import NotAllowed
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.kinds.training import records
from proxy.features.jobs.kinds.training.records import Training
from proxy.ledger import Hold, Ledger, Payer
from proxy.ledger.durable_ends import FixedPrice, Purchase
from proxy.storage import durable_holds
from proxy.storage.rows import new_id
from proxy.storage.store import Statement
from proxy.telemetry.background import repeat
from proxy.telemetry.metrics import Metrics

SWEEP_EVERY_S = 5.0
_MOST_LISTED = 100

_log = structlog.get_logger()


def training_price(terms: Terms) -> Price:
    """Return the price of a training. Raises NotAllowed if the plan does not offer trainings."""
    if (price := terms.prices.training_price()) is not None:
        return price
    raise NotAllowed(
        f"Your plan '{terms.plan}' does not offer trainings; ask the operator.",
        param="kind",
        code="training_not_priced",
    )


class TrainingBills:
    def __init__(self, ledger: Ledger, files: JobFiles, metrics: Metrics) -> None:
        self._files = files
        self._store = ledger.store
        self.price = FixedPrice(ledger, "training")
        self._metrics = metrics
        self._sweeping = asyncio.Lock()

    async def hold(self, job: str, created: int, caller: Caller, terms: Terms) -> Hold:
        """Hold the price of a training whose job is created at this time. Raises NotAllowed and
        QuotaExceeded."""
        payer = Payer(account=caller.account, key=caller.key, anchor=caller.anchor, terms=terms)
        # The random part differs for each hold, also if two jobs have the same id. The rest is for people who
        # read the row.
        return await self.price.hold(
            f"{job}_{created}_{new_id('hold')}", payer, training_price(terms).micro, job
        )

    def store_statement(self, hold: Hold) -> Statement:
        """Return the statement that stores a hold, for the commit that adds its training."""
        durable = self.price.durable(hold)
        return durable_holds.store_statement(durable, records.has_hold_condition(durable.request))

    async def run(self) -> None:
        """Call `sweep` now and every few seconds."""
        await repeat("bills of trainings", self.sweep, SWEEP_EVERY_S, self._metrics)

    async def sweep(self) -> int:
        """Charge due prices, and refund holds of trainings without a model. Return the number of
        trainings."""
        swept = 0
        async with self._sweeping:
            while batch := await records.list_due(self._store, _MOST_LISTED):
                for training in batch:
                    await self._charge(training)
                swept += len(batch)
            while batch := await records.list_to_refund(self._store, _MOST_LISTED):
                for training in batch:
                    await self._close(training)
                swept += len(batch)
            await records.delete_over(self._store)
        return swept

    async def settle_ended(self, job: str) -> None:
        """Call `sweep` at once if this job has a training. If the training has ended, its account waits for
        the credits, or makes another training of the same id."""
        if await records.get(self._store, job) is not None:
            await self.sweep()

    async def _charge(self, training: Training) -> None:
        hold = await durable_holds.get(self._store, training.hold)
        if hold is not None and await self.price.charge(hold, _purchase(training, hold.split.amount)):
            _log.info("job.training.charged", job=training.id)
        await self._close(training)

    async def _close(self, training: Training) -> None:
        await self.price.forget(training.hold, training.account)
        for digest in await records.close_training(self._store, training):
            await self._files.drop(training.account, digest)


def _purchase(training: Training, price: int) -> Purchase:
    return Purchase(
        payer=training.payer,
        engine=training.engine,
        model=training.model,
        voice=training.voice,
        job=training.id,
        tag=training.tag,
        part_micro=None if training.state == "owed" else share_of_charge(price, training.ran, training.asked),
    )
