"""Kept answers on a store and a folder, without a server: what is given again, to whom, and for how long."""

import os
from hashlib import sha256
from pathlib import Path

import pytest

from proxy.errors import IdempotencyKeyReused, RequestUnderWay
from proxy.features.erasure import tombstone_rows
from proxy.file_store import locked_files
from proxy.file_store.answers import STORED_S, AnswerRecording, StoredAnswer, StoredAnswers
from proxy.file_store.folder import BoundedFolder
from proxy.file_store.locked_files import Lock
from proxy.file_store.once import Once
from proxy.storage.sqlite import SqliteStore
from proxy.storage.store import Params, Row, Statement, StorageFailed, Store
from proxy.storage.tombstones import Tombstone
from tests.proxy.storage.notes import migrated

_USAGE = """
INSERT INTO usage (id, account, key, started, engine, model, voice, language, characters, samples,
  sample_rate_hz, format, outcome)
VALUES (:id, :account, 'k', :started, 'e', 'm', 'v', 'en', 1, 1, 24000, 'pcm', 'finished')
"""
HEADERS = (("x-request-id", "req_1"),)


class AwayStore(SqliteStore):
    """A store that answers no question about erasures while it is away."""

    is_away = False

    async def read(self, sql: str, params: Params | None = None) -> list[Row]:
        if self.is_away and "erasures" in sql:
            raise StorageFailed("away")
        return await super().read(sql, params)


store = migrated(AwayStore)


@pytest.fixture
def answers(store: AwayStore, tmp_path: Path) -> StoredAnswers:
    return StoredAnswers(store, tmp_path / "answers", 1, 1)


def request(number: int = 1, *, account: str = "acc_a", body: bytes = b"hello") -> Once:
    return Once(f"req_{number}", account, "key", sha256(body).digest())


async def erase(store: Store, voice: str) -> None:
    assert await tombstone_rows.erase_subject(
        store, Tombstone(subject=voice, account="a", digests=(), began=1)
    )


async def keep(
    answers: StoredAnswers,
    store: Store,
    asked: Once,
    *voices: str,
    sound: bytes = b"sound",
    ago_s: float = 0.0,
    before_close: str = "",
) -> None:
    async with answers.claim(asked) as recording:
        assert isinstance(recording, AnswerRecording)
        recording.voices = voices
        recording.start_recording(HEADERS)
        recording.add(sound)
        await recording.complete()
        started = await store.now() - int(ago_s * 1_000_000)
        row: Params = {"id": asked.request, "account": asked.account, "started": started}
        await store.write(Statement(_USAGE, row))
        if before_close:
            await erase(store, before_close)
        await recording.close(keep=True)


async def found(answers: StoredAnswers, asked: Once) -> bytes | None:
    """What is given again, None if the request has to be answered."""
    async with answers.claim(asked) as kept:
        if not isinstance(kept, StoredAnswer):
            return None
        assert kept.head.headers == HEADERS
        return await kept.next_chunk()


def files(folder: Path) -> int:
    return len(locked_files.list_names(folder / "answers"))


async def test_the_same_request_of_the_same_account_gets_the_answer_again(
    answers: StoredAnswers, store: AwayStore
) -> None:
    await keep(answers, store, request())
    assert await found(answers, request(2)) == b"sound"
    assert await found(answers, request(2, account="acc_b")) is None
    opened = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with pytest.raises(IdempotencyKeyReused):
            await found(answers, request(2, body=b"other"))
    assert len(os.listdir("/proc/self/fd")) == opened


async def test_while_one_answers_the_next_is_told_so(answers: StoredAnswers) -> None:
    async with answers.claim(request()):
        with pytest.raises(RequestUnderWay):
            await found(answers, request(2))
    assert await found(answers, request(2)) is None


async def test_an_answer_is_believed_for_a_day_and_only_with_its_row(
    answers: StoredAnswers, store: AwayStore, tmp_path: Path
) -> None:
    await keep(answers, store, request(), ago_s=STORED_S + 1)
    assert (await found(answers, request(2)), files(tmp_path)) == (None, 1)
    await keep(answers, store, request(3), ago_s=STORED_S - 60)
    assert await found(answers, request(4)) == b"sound"
    await store.write(Statement("DELETE FROM usage"))
    assert await found(answers, request(5)) is None


async def test_what_an_erased_voice_says_is_neither_kept_nor_given_nor_left(
    answers: StoredAnswers, store: AwayStore, tmp_path: Path
) -> None:
    await keep(answers, store, request(1), "voice_a", before_close="voice_a")
    assert files(tmp_path) == 0
    await keep(answers, store, request(2), "voice_b", "voice_c")
    await keep(answers, store, request(3, account="acc_b"), "voice_d")
    assert await found(answers, request(4)) == b"sound"
    await erase(store, "voice_c")
    assert await found(answers, request(4)) is None
    assert files(tmp_path) == 2
    await answers.sweep()
    assert files(tmp_path) == 1
    assert await found(answers, request(4, account="acc_b")) == b"sound"


async def test_an_answer_of_which_nobody_knows_whether_its_voice_is_erased_is_not_kept(
    answers: StoredAnswers, store: AwayStore, tmp_path: Path
) -> None:
    async with answers.claim(request()) as recording:
        assert isinstance(recording, AnswerRecording)
        recording.voices = ("voice_a",)
        recording.start_recording(HEADERS)
        await recording.complete()
        store.is_away = True
        await recording.close(keep=True)
        store.is_away = False
    assert files(tmp_path) == 0


async def test_an_answer_that_was_kept_just_before_the_lock_was_had_is_given(
    answers: StoredAnswers, store: AwayStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await keep(answers, store, request())
    (file,) = (tmp_path / "answers").iterdir()
    away, take = file.rename(tmp_path / "away"), locked_files.take_lock

    def late(path: Path) -> Lock | None:
        if away.exists():
            away.rename(path)
        return take(path)

    monkeypatch.setattr(locked_files, "take_lock", late)
    assert await found(answers, request(2)) == b"sound"


async def test_the_oldest_go_when_the_folder_is_full(
    answers: StoredAnswers, store: AwayStore, tmp_path: Path
) -> None:
    for number in range(5):
        await keep(answers, store, request(number, account=f"acc_{number}"), sound=bytes(200_000))
        for age, path in enumerate(
            sorted((tmp_path / "answers").iterdir(), key=lambda each: each.stat().st_mtime)
        ):
            os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 10 + age))
    assert files(tmp_path) == 4
    assert await found(answers, request(9, account="acc_0")) is None
    assert await found(answers, request(9, account="acc_4")) == bytes(64 * 1024)


async def test_each_worker_adds_its_share_of_a_sixteenth_between_two_sweeps(tmp_path: Path) -> None:
    folder = BoundedFolder(tmp_path, workers=2)
    folder.most_bytes = 3_200
    assert [folder.count(60), folder.count(40), folder.count(1)] == [False, False, True]
    await folder.sweep()
    assert [folder.count(100), folder.count(1)] == [False, True]
