"""A reload reaches the vault and the stored answers."""

from base64 import b64encode
from pathlib import Path

from proxy.features.vault.idempotency import Idempotency
from proxy.file_store.vault import Vault
from tests.features.cache.keeping import CONFIG, revise
from tests.proxy.api.inside import inside


async def test_a_reload_bounds_the_stored_answers_and_brings_a_new_master_key(tmp_path: Path) -> None:
    key = tmp_path / "new.key"
    key.write_bytes(b64encode(bytes(range(32))))
    async with inside(tmp_path) as server:
        context = server.worker.open_features.context
        vault, answers = context.find(Vault), context.find(Idempotency).answers
        assert vault.masters.is_beside_the_data
        text = f'[server]\nidempotency_mb = 5\n[vault]\nmaster_key = "file:{key}"\n'
        revise(server, tmp_path, text + CONFIG)
        assert answers._folder.most_bytes == 5_000_000
        assert not vault.masters.is_beside_the_data
