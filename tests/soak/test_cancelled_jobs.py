"""A cloud engine whose listeners leave a thousand times: the short twin has two hundred."""

from __future__ import annotations

from tests.plugins.openai.test_leaving import expect_no_connection_after_cancelled_jobs


async def test_a_thousand_cancelled_jobs_leave_no_connection() -> None:
    await expect_no_connection_after_cancelled_jobs(count=1_000)
