"""Change and delete the saved voices of an account, or of the operator, and check new ones.

After a change, the cache drops speech by the old voice. The rules for names apply to every saved voice.
"""

from __future__ import annotations

from collections.abc import Container, Mapping

from policies import text_tags
from policies.plans import Terms
from policies.routing import Voice
from proxy.catalogue.cast_members import check_no_voice_twice, resolve_members
from proxy.catalogue.catalogue import Catalogue
from proxy.catalogue.clones import CloneRights, Cloning
from proxy.catalogue.erasing import Purges
from proxy.catalogue.known_voices import voice_not_found
from proxy.catalogue.library import EMPTY_LIBRARY, Library
from proxy.catalogue.voice_records import VoiceRecord
from proxy.config.config_toml import built_in_voices
from proxy.errors import Conflict, InvalidRequest, NotAllowed, NotFound
from proxy.features.consents.grants import Grant
from proxy.features.own_voices import records
from proxy.features.own_voices.engine_checks import check_binding, needs_text
from proxy.features.own_voices.seals import open_if_possible, open_voice
from proxy.file_store.vault import Vault
from proxy.storage import blobs
from proxy.storage.audit import Act
from proxy.storage.store import AlreadyExists, Store


class LibraryWriter:
    """The editor of all libraries. `configured` has the names of the configured voices.

    If no engine runs, `catalogue` is None, and the members of a cast are not checked.
    """

    def __init__(
        self,
        store: Store,
        vault: Vault,
        library: Library,
        purges: Purges,
        clones: Cloning,
        configured: Container[str],
        catalogue: Catalogue | None = None,
    ) -> None:
        self.store = store
        self.library = library
        self._vault = vault
        self._purges = purges
        self._clones = clones
        self._configured = configured
        self._catalogue = catalogue

    async def update(self, was: VoiceRecord, now: VoiceRecord, name: str) -> VoiceRecord | None:
        """Change a voice's row. None: it has changed since it was read. Raises AlreadyExists."""
        other = name if now.is_sealed else await self.name_digest(now.account, name)
        done = await records.update(self.store, was, now, other)
        if done is None:
            if other is not None and await records.named(self.store, now.account, other) is not None:
                raise AlreadyExists("voices.name")
            return None
        await self.forget(now.account, now.id)
        return done

    async def forget(self, account: str | None, id_: str) -> None:
        self.library.forget(account)
        await self._purges.purge_voice(account, id_)

    async def name_digest(self, account: str | None, name: str) -> str | None:
        """Return the digest under which a sealed voice would have this name.

        An account without sealed voices needs no key for a cast. If it seals its first voice at this moment,
        both may have one name; then the name finds the newer voice.
        """
        if account is None or await blobs.account_key(self.store, account) is None:
            return None
        return await self._vault.name_digest(account, name)

    async def find_voice(self, account: str | None, id_or_name: str) -> VoiceRecord | None:
        """Return a voice of this account (None: the operator) by its id or its name, opened."""
        row = await self.library.find_record(account, id_or_name)
        return None if row is None else self.opened(row)

    def opened(self, record: VoiceRecord) -> VoiceRecord:
        """Return a voice with its texts. Raises VaultFailed."""
        return open_voice(self._vault, record)

    def open(self, record: VoiceRecord) -> VoiceRecord:
        """Return a voice with its texts, or without them if they cannot be opened."""
        return open_if_possible(self._vault, record)

    async def resolve_mix(self, account: str | None, mix: Mapping[str, float]) -> dict[str, float]:
        """Return the ids of the voices in a mix, with weights that add up to 1. Raises InvalidRequest."""
        if self._catalogue is None:
            raise InvalidRequest("Mixes can be saved while a server runs.", param="mix")
        found = await self._members(account, {name: name for name in mix}, "mix")
        check_no_voice_twice([voice.id for voice in found.values()], "mix")
        total = sum(mix.values())
        weights: dict[str, float] = {}
        for name, voice in found.items():
            if voice.mix:
                raise InvalidRequest(
                    f"Invalid value for 'mix': '{name[:80]}' is a mix itself; name single voices.",
                    param="mix",
                )
            weights[voice.id] = mix[name] / total
        return weights

    async def check_bindings(self, bindings: Mapping[str, str]) -> list[str]:
        """Check engines' voices against the engines' lists, and return the doubts.

        Raises InvalidRequest, also for an account's clone, and UpstreamFailed.
        """
        if self._catalogue is None:
            raise InvalidRequest("Voices can be bound while a server runs.", param="bindings")
        unsure = [check_binding(self._catalogue, engine, voice) for engine, voice in bindings.items()]
        for engine, voice in bindings.items():
            if await self._clones.is_clone(engine, voice):
                raise InvalidRequest(
                    f"Invalid value for 'bindings.{engine}': '{voice[:80]}' is a clone of an account.",
                    param=f"bindings.{engine}",
                )
        return [*filter(None, unsure)]

    @property
    def wants_words(self) -> bool:
        """Whether a model speaks with recordings whose words are known, and with no others."""
        models = () if self._catalogue is None else self._catalogue.models()
        return any(model.info.speaks_samples and model.info.needs_sample_text for model in models)

    def rights_of(
        self, words: str, terms: Terms, grant: Grant | None, *, awaits_words: bool = False
    ) -> CloneRights:
        """Return where a recording of these words may go. Raises InvalidRequest if no model speaks it."""
        rights = CloneRights.under(terms, None if grant is None else grant.providers)
        is_local_only, catalogue = rights.is_local_only, self._catalogue
        if awaits_words or words or catalogue is None:
            return rights
        if needs_text(catalogue, rights.providers, is_local_only=is_local_only):
            raise InvalidRequest(
                "Missing required parameter: 'ref_text'. All models that could speak with this voice must "
                "know the words of its recording.",
                param="ref_text",
                code="reference_text_required",
            )
        return rights

    async def delete_voice(self, record: VoiceRecord, act: Act | None = None) -> None:
        """Delete a voice. Raises NotFound if another request has deleted it."""
        if not await records.delete(self.store, record.id, act):
            raise voice_not_found(record.id)
        await self.forget(record.account, record.id)

    def check_name(self, name: str) -> None:
        """Refuse names of the server's voices: a saved voice would hide the server's."""
        if "/" in name:
            raise InvalidRequest(
                "Invalid value for 'name': it must have no '/'. A name with '/' is a voice of an engine.",
                param="name",
            )
        if name in self._configured or name in built_in_voices():
            raise Conflict(f"'{name[:80]}' is a voice of the server; take another name.", param="name")

    async def check_cast(self, account: str | None, cast: Mapping[str, str]) -> None:
        """Raise InvalidRequest for an invalid name or member of a cast."""
        if (wrong := text_tags.cast_fault(list(cast))) is not None:
            raise InvalidRequest(f"Invalid value for 'cast': {wrong}.", param="cast")
        await self._members(account, cast, "cast.")

    async def _members(self, account: str | None, members: Mapping[str, str], field: str) -> dict[str, Voice]:
        if self._catalogue is None:
            return {}
        own = EMPTY_LIBRARY if account is None else await self.library.get(account)
        try:
            return resolve_members(self._catalogue, members.items(), own, field)
        except InvalidRequest:
            # Another worker may have saved it a moment ago.
            newer = None if account is None else await self.library.read_again(account)
            if newer is None:
                raise
            return resolve_members(self._catalogue, members.items(), newer, field)


def name_taken(name: str) -> Conflict:
    return Conflict(f"There is a voice with the name '{name[:80]}' already.", param="name")


def no_room(most: int | None) -> NotAllowed:
    return NotAllowed(
        f"Your plan has room for {most} voices of your own, and you have them; delete one first.",
        param="name",
        code="too_many_voices",
    )


def not_own(id_: str) -> NotFound:
    """Return the error for an existing voice that the caller has not saved."""
    message = (
        f"The voice '{id_[:80]}' is the server's, not yours; only what you saved can be changed or deleted."
    )
    return NotFound(message, param="voice", code="voice_not_found")
