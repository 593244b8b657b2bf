"""The largest lawful request of each operation holds neither the loop nor the database for long."""

from pathlib import Path

import pytest

from tests.databases import ALL_STORES
from tests.proxy.http.largest import Row, rows_of, unbounded
from tests.proxy.http.largest_rig import MOST, SOME, Amount, Felt, Rig, rig

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


async def felt_of(rig: Rig, row: Row) -> Felt:
    """On a busy machine the same work takes more CPU time: what is held once is sent again."""
    await rig.prepare(row)
    felt = await rig.feel(rig.encoded(row))
    if felt.holds or felt.long_commits:
        await rig.prepare(row)
        again = await rig.feel(rig.encoded(row))
        felt = again if again.status == felt.status else felt
    rig.note(row, felt.status, felt.said)
    return felt


async def check(folder: Path, store_url: str, subtests: pytest.Subtests, amount: Amount) -> None:
    is_whole = amount is MOST
    async with rig(folder, amount, store_url, has_processes=is_whole) as sending:
        assert {*unbounded(sending.served.document)} == UNLIMITED
        for row in rows_of(sending.served):
            if not is_whole and (row.operation.id not in SAMPLE or (row.files and row.operation.schema)):
                continue
            with subtests.test(row.name):
                felt = await felt_of(sending, row)
                if felt.status >= 400 and felt.status not in (404, 409):
                    assert felt.code == REFUSED.get(row.operation.id), felt.said
                assert felt.holds == ()
                if row.operation.id not in ONE_COMMIT:
                    assert (*felt.long_commits, *felt.large_commits) == ()
                assert felt.units <= 10 or felt.neighbours > 0


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
async def test_some_of_the_largest_lawful_requests_are_not_felt(
    tmp_path: Path, store_url: str, subtests: pytest.Subtests
) -> None:
    await check(tmp_path, store_url, subtests, SOME)


@pytest.mark.slow
@pytest.mark.parametrize("store_url", ALL_STORES, indirect=True)
async def test_no_largest_lawful_request_is_felt(
    tmp_path: Path, store_url: str, subtests: pytest.Subtests
) -> None:
    await check(tmp_path, store_url, subtests, MOST)
