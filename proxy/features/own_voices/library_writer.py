"""Changes and deletes the saved voices of an account or of the operator, and checks the names and members of
new ones.

After a change, the caches drop the voice's speech.
"""

from __future__ import annotations

from collections.abc import Container, Mapping

from policies import text_tags
from policies.plans import Terms
from policies.routing import Voice
from proxy.catalogue.catalogue import Catalogue
from proxy.catalogue.clones import CloneRights, Cloning
from proxy.catalogue.erasing import Purges
from proxy.catalogue.library import EMPTY_LIBRARY, Library
from proxy.catalogue.voice_records import VoiceRecord
from proxy.config.config_toml import built_in_voices
from proxy.errors import Conflict, InvalidRequest, NotAllowed, NotFound
from proxy.features.consents.grants import Grant
from proxy.features.own_voices import records
from proxy.features.own_voices.engine_checks import check_binding, needs_text
from proxy.features.own_voices.seals import open_if_possible, open_voice
from proxy.features.voice_list.known_voices import voice_not_found
from proxy.file_store.vault import Vault
from proxy.speech_steps.cast_members import CastMembers, check_no_voice_twice
from proxy.storage import blobs
from proxy.storage.audit import Act
from proxy.storage.store import AlreadyExists, Store


class LibraryWriter:
    """Writes to the libraries of all accounts. `configured` has the names of the voices in the configuration.

    A command without a server has no `catalogue`: then the members of a cast are not checked.
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

    async def update_voice(self, before: VoiceRecord, after: VoiceRecord, name: str) -> VoiceRecord | None:
        """Change a voice's row. The readable name of `after` is `name`. None: the row has changed since
        `before` was read. Raises AlreadyExists if the name is taken."""
        other_name = name if after.is_sealed else await self.name_digest(after.account, name)
        updated = await records.update_voice(self.store, before, after, other_name)
        if updated is None:
            if other_name is not None and await records.find_by_name(self.store, after.account, other_name):
                raise AlreadyExists("voices.name")
            return None
        await self.drop_caches(after.account, after.id)
        return updated

    async def drop_caches(self, account: str | None, id_: str) -> None:
        """Drop the cached library of an account and the cached speech of one of its voices."""
        self.library.forget(account)
        await self._purges.purge_voice(account, id_)

    async def name_digest(self, account: str | None, name: str) -> str | None:
        """Return the digest of this name as sealed voices store it. None: the account has no key, so it has
        no sealed voices.

        If the account seals its first voice at this moment, two voices may get the same name. Then the name
        finds the newer voice.
        """
        if account is None or await blobs.account_key(self.store, account) is None:
            return None
        return await self._vault.name_digest(account, name)

    async def find_voice(self, account: str | None, id_or_name: str) -> VoiceRecord | None:
        """Find a voice by its id or its name, and return it opened. Without an account, it is the
        operator's."""
        row = await self.library.find_record(account, id_or_name)
        return None if row is None else self.open_voice(row)

    def open_voice(self, record: VoiceRecord) -> VoiceRecord:
        """Return a voice with its texts. Raises VaultFailed."""
        return open_voice(self._vault, record)

    def open_if_possible(self, record: VoiceRecord) -> VoiceRecord:
        """Return a voice with its texts, or without them if they cannot be opened."""
        return open_if_possible(self._vault, record)

    async def resolve_mix(self, account: str | None, mix: Mapping[str, float]) -> dict[str, float]:
        """Return the ids of the voices in a mix, with weights that add up to 1. Raises InvalidRequest."""
        if self._catalogue is None:
            raise InvalidRequest("Mixes can be saved while a server runs.", param="mix")
        found = await self._resolve_members(account, {name: name for name in mix}, "mix")
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
        """Check voices by engine against the engines' lists. Return a warning for each voice that is in
        doubt.

        Raises InvalidRequest, also for an account's clone, and UpstreamFailed if an engine is not up.
        """
        if self._catalogue is None:
            raise InvalidRequest("Voices can be bound while a server runs.", param="bindings")
        warnings = [check_binding(self._catalogue, engine, voice) for engine, voice in bindings.items()]
        for engine, voice in bindings.items():
            if await self._clones.is_clone(engine, voice):
                raise InvalidRequest(
                    f"Invalid value for 'bindings.{engine}': '{voice[:80]}' is a clone of an account.",
                    param=f"bindings.{engine}",
                )
        return [*filter(None, warnings)]

    @property
    def wants_words(self) -> bool:
        """Whether some model needs the words of the recordings with which it speaks."""
        models = () if self._catalogue is None else self._catalogue.models()
        return any(model.info.speaks_samples and model.info.needs_sample_text for model in models)

    def clone_rights(
        self, words: str, terms: Terms, grant: Grant | None, *, awaits_words: bool = False
    ) -> CloneRights:
        """Return where a recording with these words may go. Raises InvalidRequest if all permitted models
        need words, and there are none and none are awaited."""
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
        if not await records.delete_voice(self.store, record.id, act):
            raise voice_not_found(record.id)
        await self.drop_caches(record.account, record.id)

    def check_name(self, name: str) -> None:
        """Raise Conflict for the name of a server's voice, which a saved voice would hide, and InvalidRequest
        for a name with "/"."""
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
        await self._resolve_members(account, cast, "cast.")

    async def _resolve_members(
        self, account: str | None, members: Mapping[str, str], field: str
    ) -> dict[str, Voice]:
        if self._catalogue is None:
            return {}
        finder = CastMembers(self._catalogue)
        own = EMPTY_LIBRARY if account is None else await self.library.get(account)
        try:
            return finder.members_of(members.items(), own, field)
        except InvalidRequest:
            # Another worker may have saved the member a moment ago.
            newer = None if account is None else await self.library.read_again(account)
            if newer is None:
                raise
            return finder.members_of(members.items(), newer, field)


def name_taken(name: str) -> Conflict:
    return Conflict(f"There is a voice with the name '{name[:80]}' already.", param="name")


def too_many_voices(most: int | None) -> NotAllowed:
    return NotAllowed(
        f"Your plan has room for {most} voices of your own, and you have them; delete one first.",
        param="name",
        code="too_many_voices",
    )


def voice_not_own(id_: str) -> NotFound:
    """Return the error for a voice of the server, which the caller wants to change."""
    message = (
        f"The voice '{id_[:80]}' is the server's, not yours; only what you saved can be changed or deleted."
    )
    return NotFound(message, param="voice", code="voice_not_found")
