"""Receipts of clips went: what asked for them is told so, and what needs their rows still finds them."""

from pathlib import Path

from proxy.config.sections import Config
from proxy.feature_list import load_config, open_store
from proxy.features.marks.clip_facts import ClipSpeaker, facts_of_requests, find_clip, needs_mark_keys
from proxy.features.marks.section import RECEIPTS_GONE
from proxy.storage.store import Statement
from tests.proxy.api.inside import TONE, envelope, inside
from tests.proxy.cli.test_main import Run, folder, refused, run
from tests.tables import each_row

__all__ = ["folder", "run"]

_OF_0_1_0 = (
    '{"sha256":"aa","bytes":9,"format":"wav","samples":4,"sample_rate_hz":24000,'
    '"speakers":[{"model":"tone/standard","licence":"Apache-2.0","is_trained":false}],"language":"en",'
    '"consents":[],"mark":"audioseal","mark_key":"k1","manifest":"sidecar","made":1,"kind":"speech",'
    '"source":"","has_receipt":true}'
)


async def test_their_addresses_say_what_is_in_their_place(tmp_path: Path) -> None:
    async with inside(tmp_path) as server:
        id_ = (await server.speech()).headers["x-request-id"]
        for path in (id_, "keys"):
            answer = await server.ask("GET", f"/v1/audio/receipts/{path}")
            error = envelope(answer)
            assert (answer.status_code, error["code"], error["message"]) == (404, "removed", RECEIPTS_GONE)
        assert envelope(await server.administer("GET", f"receipts/{id_}"))["code"] == "removed"
    assert not (tmp_path / "data" / "receipt-keys").exists()


def test_their_settings_are_warnings_with_the_version(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f'{TONE}[marking]\nreceipts = false\nreceipt_keys = "env:NOWHERE"\n')
    config: Config = load_config(file, {})
    assert [each.key for each in config.warnings] == ["marking.receipts", "marking.receipt_keys"]
    assert {each.text for each in config.warnings} == {f"it has no effect since 0.2.0: {RECEIPTS_GONE}"}


@each_row(
    "words",
    [("receipt", "verify", "clip.mp3", "receipt.json", "--keys", "keys.json"), ("keys", "rotate-receipt")],
)
def test_their_commands_say_what_is_in_their_place(run: Run, words: tuple[str, ...]) -> None:
    assert refused(run(*words)).endswith(RECEIPTS_GONE)
    assert "receipt" not in run("--help").out + run("keys", "--help").out


async def test_rows_of_0_1_0_are_read(tmp_path: Path) -> None:
    """Also of clips with a mark that went: their manifests are signed from them."""
    async with open_store("sqlite", tmp_path) as store:
        params = {"request": "req_1", "account": "acc", "facts": _OF_0_1_0}
        sql = "INSERT INTO receipts (request, account, facts) VALUES (:request, :account, :facts)"
        await store.write(Statement(sql, params))
        found = await find_clip(store, "req_1")
        assert found is not None
        assert (found.facts.mark, found.facts.mark_key) == ("audioseal", "k1")
        assert found.facts.speakers == (ClipSpeaker("tone/standard", "Apache-2.0", is_trained=False),)
        assert await facts_of_requests(store, "acc", ["req_1"]) == {"req_1": found.facts}
        assert await needs_mark_keys(store)
