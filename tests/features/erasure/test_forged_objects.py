"""Whoever can write into the vault, and has no key: objects of each prefix are flipped, swapped, replayed,
invented and deleted, each time by another seed. Nobody is erased, no erasure is forgotten whose line is
there, and no sealed object opens as another one.
"""

import random
import re
import shutil
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
import structlog

from proxy.config.sections import VaultSection
from proxy.feature_list import open_store
from proxy.features.cluster.vault_identity import vault_identity
from proxy.features.erasure.erasure import Erasure, open_erasure
from proxy.features.erasure.journal import JournalLine
from proxy.file_store import sealing
from proxy.file_store.objects import LEFT_MARK
from proxy.file_store.sealed_file import SealedFileReader
from proxy.file_store.vault import Vault, VaultFailed
from proxy.storage.disk_names import ANSWERS, ERASURES
from proxy.storage.store import Params, Statement, Store
from proxy.telemetry.metrics import Metrics
from tests.databases import SQLITE, lay_tables
from tests.proxy.file_store.owned import Owned, add_account, add_consent, add_voice
from tests.proxy.file_store.vaults import key_text
from tests.tables import soak

ACCOUNTS = ("acc_a", "acc_b")
OLD = "old.db"
_KEY = """
INSERT INTO keys (id, account, hash, role, name, hint, created)
VALUES (:id, :account, :id, 'speech', '', '', 1)
"""
_USER = """
INSERT INTO users (id, account, key, address, language, is_operator, mails, created)
VALUES (:id, :account, :key, :id, 'en', :is_operator, 0, 1)
"""
_THERE = "SELECT id FROM voices UNION SELECT id FROM consents UNION SELECT id FROM users"


class Answer(NamedTuple):
    account: str
    id: str
    wrapped: str
    object: str
    content: bytes


class World(NamedTuple):
    """A data folder with its vault, the database of before the erasures, and what is in both."""

    folder: Path
    living: frozenset[str]
    erased: frozenset[str]
    recordings: dict[tuple[str, str], bytes]
    answers: tuple[Answer, ...]

    def copy(self, name: str) -> "World":
        folder = self.folder.with_name(name)
        shutil.copytree(self.folder, folder)
        return self._replace(folder=folder)

    def go_back(self) -> None:
        """Restore the database of before."""
        for end in ("-wal", "-shm"):
            (self.folder / f"{SQLITE}{end}").unlink(missing_ok=True)
        shutil.copy(self.folder / OLD, self.folder / SQLITE)

    @property
    def section(self) -> VaultSection:
        return VaultSection(master_key=key_text(), folder=str(self.folder / "vault"))


@asynccontextmanager
async def server(world: World) -> AsyncIterator[tuple[Store, Vault, Erasure]]:
    async with open_store("sqlite", world.folder) as store:
        vault = Vault(store, world.section, world.folder)
        async with open_erasure(store, vault, world.folder, Metrics()) as erasure:
            yield store, vault, erasure


async def there(store: Store) -> frozenset[str]:
    return frozenset(row["id"] for row in await store.read(_THERE))


@pytest.fixture
async def world(tmp_path: Path) -> World:
    folder = tmp_path / "world"
    lay_tables(folder)
    made = World(folder, frozenset(), frozenset(), {}, ())
    recordings, answers, to_erase = dict[tuple[str, str], bytes](), list[Answer](), list[Owned]()
    async with server(made) as (store, vault, erasure):
        await vault_identity(vault.objects)
        for account in ACCOUNTS:
            await add_account(store, account)
            for number in range(4):
                plain = f"{account} {number} ".encode() * 50
                digest = await vault.put(account, plain)
                id_ = await add_voice(store, account, digest)
                if number < 2:
                    to_erase.append(Owned(id_, account))
                else:
                    recordings[account, digest] = plain
            await add_consent(store, account, await vault.put(account, b"phrase" + account.encode()))
            user: Params = {
                "id": f"usr_{account}",
                "account": account,
                "is_operator": int(account == "acc_a"),
            }
            key: Params = {"id": f"key_{account}", "account": account}
            await store.write(Statement(_KEY, key), Statement(_USER, {**user, "key": key["id"]}))
            answers.append(await _answer(vault, account))
        (folder / "vault" / account / f"{'0' * 64}-{'1' * 16}{LEFT_MARK}").touch()
        everything = await there(store)
        with closing(sqlite3.connect(folder / SQLITE)) as now, closing(sqlite3.connect(folder / OLD)) as old:
            now.backup(old)
        for owned in to_erase:
            await erasure.erase(owned)
    erased = frozenset(owned.id for owned in to_erase)
    return made._replace(
        living=everything - erased, erased=erased, recordings=recordings, answers=tuple(answers)
    )


async def _answer(vault: Vault, account: str) -> Answer:
    content, id_ = f"the answer of {account}".encode(), sha256(account.encode()).hexdigest()
    key, wrapped = await vault.new_row_key(account, id_)
    name = f"{ANSWERS}/{sha256(id_.encode()).hexdigest()[:32]}"
    await vault.objects.put(name, sealing.seal(content, key, account, id_))
    return Answer(account, id_, wrapped, name, content)


class Attacker:
    """A writer of the folder, without a key."""

    def __init__(self, world: World, seed: int) -> None:
        self.done: Counter[str] = Counter()
        self._world = world
        self._root = world.folder / "vault"
        self._drawn = random.Random(seed)
        self._lines = {each: each.read_bytes() for each in self._root.glob(f"{ERASURES}/*")}

    def lines(self, *, is_there: bool) -> set[str]:
        """Return the subjects whose own line is not as it was: changed if it `is_there`, or deleted."""
        return {
            each.name.split("-")[1]
            for each, content in self._lines.items()
            if (each.exists() and each.read_bytes() != content if is_there else not each.exists())
        }

    def attack(self, times: int) -> None:
        acts: tuple[Callable[[], None], ...] = (
            self._flip,
            self._swap,
            self._replay,
            self._delete,
            self._invent,
            self._invent,
            self._withdraw,
        )
        for _ in range(times):
            act = self._drawn.choice(acts)
            act()
            self.done[act.__name__] += 1

    def _file(self) -> Path:
        """Draw an object, of each prefix as often."""
        files = [each for each in sorted(self._root.rglob("*")) if each.is_file()]
        folder = self._drawn.choice(sorted({each.parent for each in files}))
        return self._drawn.choice([each for each in files if each.parent == folder])

    def _flip(self) -> None:
        file = self._file()
        content = bytearray(file.read_bytes() or b"\0")
        content[self._drawn.randrange(len(content))] ^= 1 << self._drawn.randrange(8)
        file.write_bytes(content)

    def _swap(self) -> None:
        one, other = self._file(), self._file()
        contents = one.read_bytes(), other.read_bytes()
        other.write_bytes(contents[0])
        one.write_bytes(contents[1])

    def _replay(self) -> None:
        """Copy an object to another name: that of another object, of another subject, or of another time."""
        source = self._file()
        if source.parent.name != ERASURES or self._drawn.random() < 0.3:
            target = self._file()
        else:
            at, subject, signature, *rest = source.name.split("-")
            at = self._drawn.choice([at, f"{1:017}", f"{10**16:017}"])
            subject = self._drawn.choice([subject, *sorted(self._world.living)])
            target = source.with_name("-".join((at, subject, signature, *rest)))
        if target != source:
            shutil.copy(source, target)

    def _delete(self) -> None:
        self._file().unlink()

    def _invent(self) -> None:
        self._line(self._drawn.choice(sorted(self._world.living)), self._drawn.choice([1, 10**15, 10**16]))

    def _withdraw(self) -> None:
        lines = [each for each in sorted(self._root.glob(f"{ERASURES}/*")) if "withdrawn" not in each.name]
        if lines:
            at, subject, *_ = self._drawn.choice(lines).name.split("-")
            self._line(subject, int(at), is_withdrawn=True)

    def _line(self, subject: str, at: int, *, is_withdrawn: bool = False) -> None:
        """Write a line as versions without signatures do, or with a signature of another line."""
        account = self._drawn.choice(ACCOUNTS)
        digests = tuple(digest for owner, digest in self._world.recordings if owner == account)
        line = JournalLine(
            at=at, subject=subject, account=account, digests=digests, is_withdrawn=is_withdrawn
        )
        content = msgspec.json.encode(line)
        signature = sha256(content).hexdigest()[:12]
        others = [each.name.split("-")[2] for each in sorted(self._root.glob(f"{ERASURES}/*"))]
        if others and self._drawn.random() < 0.3:
            signature = self._drawn.choice(others)
        file = self._root / ERASURES / f"{at:017}-{subject}-{signature}{'-withdrawn' * is_withdrawn}"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)


async def opened_wrongly(world: World, vault: Vault) -> list[str]:
    """Return what opens as something else than what was sealed."""
    wrong = []
    for (account, digest), plain in world.recordings.items():
        try:
            wrong += [digest] * (await vault.open(account, digest) != plain)
        except VaultFailed:
            pass  # it is damaged, and says so
    for answer in world.answers:
        key = vault.row_key(answer.account, answer.id, answer.wrapped)
        place = (vault.objects, answer.object, len(answer.content))
        try:
            reader = await SealedFileReader.open(*place, key, answer.account, answer.id)
            wrong += [answer.object] * (await reader.whole() != answer.content)
        except VaultFailed:
            pass
    return wrong


@pytest.mark.parametrize("seeds", [range(12), *soak(range(1000))], ids=str)
async def test_no_object_of_a_stranger_erases_or_saves_anybody(world: World, seeds: range) -> None:
    done, erased_wrongly, forgotten, opened = Counter[str](), 0, 0, list[str]()
    for seed in seeds:
        seeded = world.copy(f"seed {seed}")
        attacker = Attacker(seeded, seed)
        attacker.attack(1 + seed % 12)
        done += attacker.done
        # To overwrite a line is to delete it, unless the database of now brings a deleted one back.
        lost = attacker.lines(is_there=True) | (set() if seed % 2 else attacker.lines(is_there=False))
        if seed % 2:
            # In the database of now, which heals the journal. Then they go back.
            async with server(seeded) as (store, vault, erasure):
                assert erasure.replayed == 0
                erased_wrongly += len(seeded.living - await there(store))
                opened += await opened_wrongly(seeded, vault)
                await erasure.sign_lines()
        seeded.go_back()
        async with server(seeded) as (store, vault, _):
            found = await there(store)
            erased_wrongly += len(seeded.living - found)
            forgotten += len((seeded.erased - lost) & found)
            opened += await opened_wrongly(seeded, vault)
        shutil.rmtree(seeded.folder)
    assert (erased_wrongly, forgotten, opened) == (0, 0, []), f"of {sum(done.values())}: {dict(done)}"
    assert len(done) == 6


async def test_what_is_not_signed_is_reported_and_counts_once_it_is_accepted(world: World) -> None:
    attacker, victim = Attacker(world, 1), "usr_acc_b"
    attacker._line(victim, 10**15)
    attacker._line("voice_nobody", 1)
    attacker._line("voice_nobody", 1, is_withdrawn=True)
    with structlog.testing.capture_logs() as logs:
        async with server(world) as (store, _, erasure):
            (reported,) = [line for line in logs if line["event"] == "erasure.journal.unsigned"]
            assert (reported["number"], reported["subjects"]) == (1, [victim])
            unsigned = await erasure.list_unsigned()
            assert [line.subject for line in unsigned] == [victim]
            assert victim in await there(store)
            late = min(await there(store) - {victim})
            attacker._line(late, 10**15)
            await erasure.accept_lines(unsigned)
            assert world.living - await there(store) == {victim}, "no line that the operator has not seen"
            assert [line.subject for line in await erasure.list_unsigned()] == [late]
            assert erasure.replayed == 1
    world.go_back()
    async with server(world) as (store, _, erasure):
        assert world.living - await there(store) == {victim}


async def test_lines_of_an_older_server_count_once_their_erasures_are_in_the_database(world: World) -> None:
    """They have a digest in place of the signature, and older servers read the name of a signed line."""
    folder = world.folder / "vault" / ERASURES
    for each in sorted(folder.iterdir()):
        content = each.read_bytes()
        assert re.fullmatch(r"(\d{17})-([A-Za-z0-9_-]{1,60})-[0-9a-f]{12}(-withdrawn)?", each.name)
        at, subject, _ = each.name.split("-")
        each.rename(folder / f"{at}-{subject}-{sha256(content).hexdigest()[:12]}")
    restored = world.copy("restored at once")
    restored.go_back()
    async with server(restored) as (store, _, erasure):
        assert (erasure.replayed, world.erased <= await there(store)) == (0, True)
    async with server(world) as (_, _, erasure):
        await erasure.sign_lines()
        assert erasure.replayed == 0
    world.go_back()
    async with server(world) as (store, _, erasure):
        assert (erasure.replayed, await there(store)) == (len(world.erased), world.living)
