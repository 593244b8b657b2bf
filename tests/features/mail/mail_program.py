"""A worker that sends mails, for `tests/forked.py`: `main(DATA, URL)`.

A test kills it while a receiver has a mail and keeps silent.
"""

from pathlib import Path

from proxy.feature_list import open_store
from tests.features.mail.rig import mail_rig


async def main(data: str, url: str) -> None:
    async with open_store("sqlite", Path(data)) as store, mail_rig(store, Path(data), url) as rig:
        while True:
            await rig.mails.turn()
