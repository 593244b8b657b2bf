"""The largest lawful request of each operation holds neither the loop nor the database for long."""

import os
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.databases import ALL_STORES
from tests.proxy.http.described import Document
from tests.proxy.http.every_endpoint import Everything
from tests.proxy.http.largest import Row, rows_of, unbounded
from tests.proxy.http.largest_cost import MOST_CPU_S, MOST_STAYS_BYTES, Felt, slowness
from tests.proxy.http.largest_rig import MOST, SOME, Amount, Rig, rig
from tests.proxy.http.largest_shapes import shaped_rows

REFUSED = {
    **dict.fromkeys(("test_webhook_endpoint", "test_webhook_endpoint_of"), "webhook_not_reached"),
    "confirm_sign_in": "sign_in_failed",
    **dict.fromkeys(("receive_mercadopago_event", "receive_stripe_event"), "invalid_signature"),
    "clone_voice": "invalid_value",
    "change_me": "session_needed",
    "create_own_key": "too_many_keys",
    **dict.fromkeys(
        ("create_job", "add_voice_sample", "add_voice_sample_by_short_path"), "consent_not_given"
    ),
    "add_saved_voice_sample": "invalid_value",
}
"""What is lawful, and refused by what this server or the account has. The job is a training, for
which samples are cut."""
ONE_COMMIT = frozenset({"close_me", "close_account", "remove_user"})
"""They close an account or write a tombstone, which stays one commit."""
REFUSED_SHAPES = {
    **dict.fromkeys(("*: no spaces (Tran*", "*: accents (Tran*"), "invalid_value"),
    **dict.fromkeys(("*(TranscriptionForm)", "*(TranslationForm)"), "model_not_found"),
    "create_job as a form:*(TranscriptionJobForm)": "model_not_found",
    **dict.fromkeys(("*: open brackets (JobBody)", "*: open brackets (SpeechBody)"), "invalid_value"),
    **dict.fromkeys(("*: deep SSML *", "*: many tags of SSML *", "*: SSML that never*"), "invalid_value"),
    **dict.fromkeys(("*: a Markdown of headings *", "*: a book of open brackets *"), "unusable_book"),
    **dict.fromkeys(("*: a book of notes *", "*: a book of sections *"), "unusable_book"),
    **dict.fromkeys(
        ("*: cues of brackets *", "*: cues of open tags *", "*: long cues *"), "unusable_subtitles"
    ),
    "*: open brackets (RouteQuestion)": "invalid_value",
    "say_job_again: all chapters by words *": "chapter_not_found",
    "create_file: empty lines *": "empty_file",
    "create_batch: empty lines *": "file_not_found",
    # Beside the largest batch, which waits.
    "create_batch: lines of shapes *": "|rate_limit_exceeded",
    "add_voice_sample: the most parts (CutForm)": "consent_not_given",
    "say_job_again: a deep member *": "",
    "*: a deep member (TrainingBody)": "consent_not_given",
    "*: a deep member (BookBody)": "string_above_max_length",
    **dict.fromkeys(
        (f"*: a deep member ({each})" for each in ("SpeechBody", "JobBody", "DubBody")), "invalid_json"
    ),
    **dict.fromkeys(
        (f"*: a deep member ({each})" for each in ("LexiconBody", "NewLexicon", "BatchJobBody")), ""
    ),
    "*: a deep member *": "request_too_large",
}
"""The codes with which rows of shapes are refused, by patterns of their titles. The first pattern counts. All
others are answered."""
UNLIMITED = {
    # An object of any shape, and those that are described.
    *("AgreedChange.prices", "JobBody.chapters", "BookBody.chapters"),
    *(f"{form}.{field}" for form in ("VoiceForm", "SavedVoiceForm") for field in ("prompt", "script_hint")),
}
"""The last four are refused."""
SAMPLE = (
    *("create_job", "create_file", "create_batch", "cancel_batch", "retry_job", "list_usage"),
    *("put_lexicon", "update_voice", "delete_webhook_endpoint", "delete_history", "delete_job", "close_me"),
)
WORST = (
    *("create_job: brackets of a cast", "preview_job: 500 chapters of 41 letters", "preview_job: letters"),
    *("preview_job: an only of the most", "put_lexicon: words that begin alike", "create_speech: letters"),
    *("create_file: a deep line", "create_batch: short lines", "say_job_again: many steps"),
)
"""The shapes that are worst, of texts that the worker itself reads: `make test` has them."""
_MOST_TRIES = 3
TABLE = "VOXGATE_LARGEST_TABLE"
"""Names a file, to which a test adds a table of its rows: their longest hold and commit, the processor
seconds of the server and its helpers without those of the neighbour, and the memory that stays."""
HEAD = "| operation | status | hold ms | commit ms | processor s | stays MiB |"


async def felt_of(rig: Rig, row: Row) -> Felt:
    """What is felt is sent again: on a busy machine the same work takes longer, and the allocator of a helper
    keeps a buffer that its next task uses. What each answer leaves again counts."""
    await rig.prepare(row)
    felt = await rig.feel(rig.encoded(row))
    for _ in range(_MOST_TRIES):
        if not (felt.holds or felt.long_commits or felt.stays_bytes > MOST_STAYS_BYTES):
            break
        await rig.prepare(row)
        again = await rig.feel(rig.encoded(row))
        felt = again if again.status == felt.status else felt
    for _ in range(_MOST_TRIES):
        if felt.cpu_s <= MOST_CPU_S:
            break
        # The neighbour's own time is an estimate, which is too low on a busy machine. The same work takes
        # more CPU time there, too, by a factor that no other work tells: so the least of some tries counts.
        await rig.prepare(row)
        before = slowness()
        alone = await rig.feel(rig.encoded(row), is_alone=True)
        felt = felt._replace(cpu_s=min(felt.cpu_s, alone.cpu_s / max(before, slowness())))
    rig.note(row, felt.status, felt.said)
    return felt


def is_chosen(row: Row) -> bool:
    """Whether `make test` has this row."""
    if row.shape.name:
        return row.name in WORST and row.schema_name not in ("DubBody", "BookBody")
    return row.operation.id in SAMPLE and not (row.files and row.operation.schema)


def is_plain(row: Row) -> bool:
    """Whether the row is about an amount, which a store feels, and not about the shape of a text."""
    return not row.shape.name


def has_shape(row: Row) -> bool:
    return not is_plain(row)


def loads_much(row: Row) -> bool:
    return row.name in WORST or (is_plain(row) and bool(row.files))


def title(row: Row) -> str:
    return f"{row.name} ({row.schema_name})" if row.schema_name else row.name


def refusal_of(row: Row) -> str:
    """The code with which a row of a shape is refused, or "" if it is answered."""
    return next((code for pattern, code in REFUSED_SHAPES.items() if fnmatch(title(row), pattern)), "")


def check_row(row: Row, felt: Felt) -> None:
    if row.shape.name:
        assert felt.code in refusal_of(row).split("|"), felt.said
    elif felt.status >= 400 and felt.status not in (404, 409):
        assert felt.code == REFUSED.get(row.operation.id), felt.said
    assert felt.holds == ()
    if row.operation.id not in ONE_COMMIT:
        assert (*felt.long_commits, *felt.large_commits) == ()
    assert felt.units <= 10 or felt.neighbours > 0
    assert felt.cpu_s <= MOST_CPU_S
    assert felt.stays_bytes <= MOST_STAYS_BYTES


def check_new_endpoints(served: Everything) -> None:
    """One whose body is of a new kind has no row, and fails."""
    paths: Document = served.document["paths"]
    body: Document = {"content": {"text/csv": {}}}
    new = {"/v1/new": {"post": {"operationId": "new", "requestBody": body, "security": [{}]}}}
    with pytest.raises(AssertionError, match="new has a body without a row"):
        list(rows_of(served._replace(document={**served.document, "paths": {**paths, **new}})))


def add_to_table(*lines: str) -> None:
    if path := os.environ.get(TABLE):
        with Path(path).open("a") as file:
            file.write("\n".join([*lines, ""]))


async def check(
    folder: Path,
    store_url: str,
    subtests: pytest.Subtests,
    amount: Amount,
    is_wanted: Callable[[Row], bool],
) -> None:
    is_whole = amount is MOST
    async with rig(folder, amount, store_url, has_processes=is_whole) as sending:
        assert {*unbounded(sending.served.document)} == UNLIMITED
        check_new_endpoints(sending.served)
        store = "PostgreSQL" if sending.served.shop.server.worker.store.is_shared else "SQLite"
        add_to_table("", f"## {store}", "", HEAD, "|---|--:|--:|--:|--:|--:|")
        every = list(shaped_rows(sending.served))
        assert {*WORST} <= {row.name for row in every}
        rows = [row for row in every if is_wanted(row)]
        # The bodies and files of all rows are there before the first level of memory, and what the first
        # large texts and recordings load for good.
        first = next(rows_of(sending.served))
        await sending.warm(first, *(row for row in every if is_whole and loads_much(row)))
        for row in rows:
            assert not sending.is_stuck
            with subtests.test(row.name):
                felt = await felt_of(sending, row)
                add_to_table(f"| {title(row)} | {felt.status} {felt.code} | {felt.figures()} |")
                check_row(row, felt)
        stays = await sending.stays_since_start()
        in_use = sending.in_use_since_start()
        add_to_table(f"| all of them; of these in use: {in_use / 2**20:.0f} | | | | | {stays / 2**20:.0f} |")
        # The allocator's level rises with each kind of request, so here only each row is judged.
        assert is_whole or stays <= MOST_STAYS_BYTES


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
async def test_some_of_the_largest_lawful_requests_are_not_felt(
    tmp_path: Path, store_url: str, subtests: pytest.Subtests
) -> None:
    await check(tmp_path, store_url, subtests, SOME, is_chosen)


@pytest.mark.slow
@pytest.mark.parametrize("store_url", ALL_STORES, indirect=True)
async def test_no_largest_lawful_request_is_felt(
    tmp_path: Path, store_url: str, subtests: pytest.Subtests
) -> None:
    await check(tmp_path, store_url, subtests, MOST, is_plain)


@pytest.mark.slow
@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
async def test_no_lawful_text_is_felt_by_its_shape(
    tmp_path: Path, store_url: str, subtests: pytest.Subtests
) -> None:
    await check(tmp_path, store_url, subtests, MOST, has_shape)
