"""Jobs whose route has a post-step: each step is repeated, and charged for both engines."""

import math
from pathlib import Path

from proxy.features.admin import verify
from tests.features.jobs.job_rig import RATE_HZ, content, job_with, new_job, text_of, words_of
from tests.proxy.api.inside import inside
from tests.sound import decoded
from tests.tones import words

CONFIG = """
[storage]
url = "{url}"
[engines.tone]
hosted = false
[engines.second]
plugin = "tone"
hosted = false
voices = ["anna"]
level_db = -12
[models]
tone = ["tone/standard"]
[voices.alloy]
tone = "tone"
[[routes]]
language = "en"
post = [{{ engine = "second", voice = "anna" }}]
[plans.metered]
allowance = 1000
prices.speech = {{ credits = 120, per = "minute" }}
prices.conversion = {{ credits = 60, per = "minute" }}
"""


async def test_each_step_is_repeated_and_charged_for_both(tmp_path: Path, store_url: str) -> None:
    async with inside(tmp_path, CONFIG.format(url=store_url), plan="metered") as server:
        made = await new_job(server, text_of(2), language="en")
        found = await job_with(server, made["id"], "done", "failed", "waiting")
        assert found["status"] == "done", found
        heard = decoded((await content(server, made["id"])).content, "pcm")
        rows = await server.usage()
        assert (await verify.verify(server.worker.store)).is_clean
    assert words(heard.samples, RATE_HZ) == words_of(2)
    assert [(row.engine, row.job, row.outcome) for row in rows] == [
        ("tone+second", made["id"], "finished")
    ] * 2
    for row in rows:
        assert row.credits == math.ceil(row.samples * 3_000_000 / row.sample_rate_hz)
