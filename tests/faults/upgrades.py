"""Two versions on one database, under load, in both orders and back: `scripts/upgrade_check [REF]`.

With a REF of git, that version is the older one, and the newer one is this tree. Without it, this tree is the
older one, and the newer one is a copy with two more migrations.
"""

import asyncio
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from proxy.config.sections import VaultSection
from proxy.feature_list import open_store
from proxy.file_store.vault import Vault
from proxy.storage.schema import known_migrations
from proxy.storage.store import Statement
from tests.databases import postgres
from tests.faults.books import books
from tests.faults.kills import Load, load
from tests.features.jobs.apart import shared
from tests.redis_server import redis_server
from tests.server import ALONE, running
from tests.waiting import until

ROOT = Path(__file__).parents[2]
CLIENTS = 3
_CODE = ("proxy", "policies", "speech_engine", "plugins", "fakes")
_SERVE = (sys.executable, "-P", "-m", "proxy", "serve", "--port", "0")
_ACCOUNT = "acc_upgraded"
_MIGRATIONS = (
    "CREATE TABLE upgrade_recordings (id TEXT PRIMARY KEY, account TEXT NOT NULL, digest TEXT NOT NULL);\n",
    "ALTER TABLE accounts ADD COLUMN upgrade_note TEXT NOT NULL DEFAULT '';\n",
)
_TABLE = 'KERNEL_TABLES: Tables = (\n    Table("upgrade_recordings", recordings=("digest",)),\n'


def newer_copy(folder: Path) -> Path:
    """A copy of this tree with two migrations more, one of which names recordings."""
    for name in _CODE:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for number, sql in enumerate(_MIGRATIONS, len(known_migrations()) + 1):
        (folder / "proxy" / "storage" / "migrations" / f"{number:04}_upgrade.sql").write_text(sql)
    tables = folder / "proxy" / "storage" / "kernel_tables.py"
    tables.write_text(tables.read_text().replace("KERNEL_TABLES: Tables = (\n", _TABLE))
    return folder


def older_copy(ref: str, folder: Path) -> Path:
    archive = subprocess.run(
        ["git", "archive", ref, *_CODE], cwd=ROOT, capture_output=True, check=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    return folder


class Upgrade:
    """Servers of two versions with separate data folders, on one database and one folder of recordings."""

    def __init__(self, folder: Path, url: str, limits: str) -> None:
        self.told: list[Load] = []
        self._folder, self._url, self._key = folder, url, ""
        self._limits = f'[limits]\nurl = "{limits}"\n'

    @contextmanager
    def serving(self, tree: Path, name: str) -> Iterator[Load]:
        """A server of this version, under load. It has answered when the block begins and when it ends."""
        (self._folder / name).mkdir(exist_ok=True)
        section = shared(self._folder, self._url, here=True).replace(
            "streams = 1", f"streams = {2 * CLIENTS}"
        )
        config, environ = ALONE + section + self._limits, {"PYTHONPATH": str(tree)}
        with running(self._folder / name, config, command=_SERVE, environ=environ) as server:
            self._key = self._key or server.mint_key("ada", plan="metered").secret
            with load(server.url, [self._key] * CLIENTS) as asking:
                self.told.append(asking)
                self.answers(asking)
                yield asking
                self.answers(asking)

    def answers(self, *asking: Load) -> None:
        for each in asking:
            before = len(each.complete)
            until(lambda each=each, before=before: len(each.complete) >= before + 2 * CLIENTS)  # type: ignore[misc]

    def add_recording(self) -> None:
        """One that the newer version's table alone names, and that is old enough to be tidied."""
        asyncio.run(self._add())

    async def _add(self) -> None:
        async with open_store(self._url, self._folder) as store:
            section = VaultSection(
                (self._folder / "key").read_text(), folder=str(self._folder / "recordings")
            )
            digest = await Vault(store, section, self._folder).put(_ACCOUNT, b"a recording" * 1000)
            row = {"account": _ACCOUNT, "digest": digest}
            await store.write(
                Statement("INSERT INTO upgrade_recordings VALUES ('one', :account, :digest)", row),
                Statement("UPDATE blobs SET created = 1"),
            )

    def recordings(self) -> list[str]:
        return [path.name for path in (self._folder / "recordings").glob(f"**/{_ACCOUNT}/*")]


def check(first: Path, second: Path, folder: Path, url: str, limits: str, *, has_recording: bool) -> int:
    """Roll from one version to the other and back, and forward again. Return the number of answers."""
    upgrade = Upgrade(folder, url, limits)
    with upgrade.serving(first, "one") as one:
        with upgrade.serving(second, "two"):
            upgrade.answers(one)
            if has_recording:
                upgrade.add_recording()
        upgrade.answers(one)
    with upgrade.serving(second, "two") as two:
        with upgrade.serving(first, "one"):
            upgrade.answers(two)
    told = [answer for each in upgrade.told for answer in each.told]
    assert {(answer.status, answer.complete) for answer in told} == {(200, True)}
    found = books(url, folder)
    assert found.verdict.is_clean
    assert {answer.request for answer in told} == found.spent.keys()
    assert len(upgrade.recordings()) == has_recording, "a recording was tidied"
    return len(told)


def main(ref: str = "") -> None:
    with postgres() as database, redis_server() as limits, tempfile.TemporaryDirectory() as place:
        trees = Path(place)
        older = older_copy(ref, trees / "older") if ref else ROOT
        newer = ROOT if ref else newer_copy(trees / "newer")
        for name, order in (("old-new", (older, newer)), ("new-old", (newer, older))):
            (trees / name).mkdir()
            url = database.url(search_path=database.new_schema())
            answers = check(*order, trees / name, url, limits.url, has_recording=not ref)
            print(f"{name}: {answers} answers, none refused, none lost")


if __name__ == "__main__":
    main(*sys.argv[1:])
