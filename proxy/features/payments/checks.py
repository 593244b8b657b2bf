"""The checks of `voxgate ledger verify` on payments and months. See `Table.checks`."""

from __future__ import annotations

_REMAINING = """
CASE WHEN payments.refunded + payments.disputed >= payments.amount THEN 0
ELSE payments.amount - payments.refunded - payments.disputed END
"""
# The product of credits and money may not fit 64 bits.
_WORTH = f"""
(payments.credits / payments.amount * ({_REMAINING})
    + payments.credits % payments.amount * ({_REMAINING}) / payments.amount)
"""
# The first entry of a row has the reference `first`, and a later one `next` with its number.
_ENTRIES = """
WITH RECURSIVE rows (id, first, next, many, credits) AS (
    SELECT {id}, {first}, {next}, {many}, {credits} FROM {table}
    WHERE {table}.id > :after AND {table}.id <= :upto
), numbers (number) AS (
    SELECT CAST(0 AS BIGINT) UNION ALL
    SELECT number + 1 FROM numbers WHERE number + 1 < (SELECT max(many) FROM rows)
)
SELECT rows.id AS subject, 'credits ' || rows.credits || ', entries ' || coalesce(sum(entries.amount), 0)
    || ' in ' || count(entries.id) || ' of ' || rows.many AS found
FROM rows LEFT JOIN numbers ON numbers.number < rows.many
LEFT JOIN entries ON entries.reference = CASE WHEN number = 0 THEN first ELSE next || (number + {from_}) END
GROUP BY rows.id, rows.many, rows.credits
HAVING count(entries.id) <> rows.many OR coalesce(sum(entries.amount), 0) <> rows.credits
"""

PAYMENT_CHECKS = (
    (
        "a payment is worth what is left of its money",
        f"""
        SELECT payments.id AS subject, 'credited ' || credited || ', worth ' || {_WORTH} AS found
        FROM payments JOIN accounts ON accounts.id = payments.account
        WHERE payments.id > :after AND payments.id <= :upto
            AND (credited > {_WORTH} OR (credited < {_WORTH} AND accounts.closed IS NULL))
        """,
    ),
    (
        "a payment's credits are those of its entries",
        _ENTRIES.format(
            table="payments",
            id="payments.id",
            first="'pay:' || payments.id || ':1'",
            next="'pay:' || payments.id || ':'",
            many="payments.booked",
            credits="payments.credited",
            from_=1,
        ),
    ),
    (
        "a month is granted for each payment that is kept",
        f"""
        SELECT payments.id AS subject, coalesce(paid_months.state, 'no month') AS found
        FROM payments JOIN orders ON orders.id = payments.order_id
        JOIN accounts ON accounts.id = payments.account
        LEFT JOIN paid_months ON paid_months.id = payments.id
        WHERE payments.id > :after AND payments.id <= :upto AND orders.kind = 'plan'
            AND accounts.closed IS NULL AND (CASE WHEN {_REMAINING} > 0 THEN 1 ELSE 0 END)
                <> (CASE WHEN paid_months.is_paid = 1 AND paid_months.state <> 'dropped' THEN 1 ELSE 0 END)
        """,
    ),
)
MONTH_CHECKS = (
    (
        "what a month carried is what its entries say",
        _ENTRIES.format(
            table="paid_months",
            id="paid_months.id",
            first="'carry:' || paid_months.id",
            next="'carry:' || paid_months.id || ':'",
            many="paid_months.moved",
            credits="paid_months.carried * paid_months.is_paid",
            from_=0,
        ),
    ),
    (
        "a plan is paid until the end of its last month",
        """
        SELECT paid_months.id AS subject, 'ends ' || paid_months.ends || ', account '
            || coalesce(CAST(accounts.paid_until AS TEXT), 'unpaid') AS found
        FROM paid_months JOIN accounts ON accounts.id = paid_months.account
        WHERE paid_months.id > :after AND paid_months.id <= :upto AND is_paid = 1
            AND state IN ('ahead', 'running') AND paid_months.ends > coalesce(accounts.paid_until, 0)
            AND paid_months.ends > (SELECT max(at) FROM plan_changes WHERE plan_changes.account = accounts.id)
        """,
    ),
)
