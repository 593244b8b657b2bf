"""The files of models that were trained for accounts' voices, and the rows that name them."""

from __future__ import annotations

from collections.abc import Sequence

from proxy.file_store.vault import Vault, VaultFailed
from proxy.storage import trained_models
from proxy.storage.rows import new_id
from proxy.storage.store import ALWAYS, Condition, Statement, Store
from proxy.storage.trained_model import Origin, TrainedModel


class TrainedVoiceStore:
    """The caller of `put` commits its `statements`, and then calls `Library.forget` and
    `Purges.purge_voice` for the old voice."""

    def __init__(self, store: Store, vault: Vault) -> None:
        self._store = store
        self._vault = vault

    async def put(
        self, account: str, voice: str, format_: str, data: bytes, origin: Origin = "training"
    ) -> TrainedModel:
        """Seal the file of a model, in its format's own form, and return the row that names it.

        The row has to be committed within an hour. The caller has checked the file. Raises StorageFailed.
        """
        return TrainedModel(
            id=new_id("trained"),
            voice=voice,
            account=account,
            format=format_,
            digest=await self._vault.put(account, data),
            bytes=len(data),
            origin=origin,
            created=await self._store.now(),
        )

    async def replaced_by(self, model: TrainedModel) -> Sequence[TrainedModel]:
        """List the models that this one replaces. Call this before the commit, and `drop` them after it.

        Hosts hold them until others need the room, as answers may use them. An erasure of the voice names
        them, too.
        """
        return [
            each
            for each in await self.of_voice(model.account, model.voice)
            if each.format == model.format and each.digest != model.digest
        ]

    def statements(self, model: TrainedModel, only_if: Condition = ALWAYS) -> Sequence[Statement]:
        """Return the statements that give the voice its model, in place of one of this format.

        They do nothing if the voice was erased, or if `only_if` is false. Write them last in the commit.
        """
        return trained_models.put_statements(model, only_if)

    async def is_stored(self, model: TrainedModel) -> bool:
        return await trained_models.is_stored(self._store, model.id)

    async def drop(self, model: TrainedModel) -> None:
        """Delete the file of a model if no voice has it. Call this after a failed commit."""
        await self._vault.drop(model.account, [model.digest])

    async def of_voice(self, account: str, voice: str) -> Sequence[TrainedModel]:
        """List the models of a voice of this account, one for each format."""
        return await trained_models.list_of_voice(self._store, account, voice)

    async def read(self, account: str, voice: str, format_: str) -> bytes:
        """Return the file of a voice's model. Raises VaultFailed if it has none in this format."""
        for model in await self.of_voice(account, voice):
            if model.format == format_:
                return await self._vault.open(account, model.digest)
        raise VaultFailed(f"the voice {voice} has no model of the format {format_}")
