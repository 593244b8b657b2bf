"""Helpers: master keys, and a vault with something of every kind that is sealed."""

from base64 import b64encode
from pathlib import Path
from typing import NamedTuple

import msgspec

from proxy.config.sections import VaultSection
from proxy.file_store.objects import LEFT_MARK
from proxy.file_store.vault import SealedRecord, Vault
from proxy.storage.store import Store
from tests.proxy.file_store.owned import add_consent, add_voice


def files_of(data: Path, account: str, digest: str) -> list[Path]:
    """Return the files of a recording, without the marks of those that are left over."""
    folder = data / "voices" / account
    return sorted(path for path in folder.glob(f"{digest}*") if path.suffix != LEFT_MARK)


def key_text(number: int = 1) -> str:
    return b64encode(bytes([number]) * 32).decode()


OLD = VaultSection(key_text(1))
NEW = VaultSection(key_text(2))
BOTH = VaultSection(key_text(2), (key_text(1),))


class Said(msgspec.Struct, frozen=True):
    name: str
    description: str = ""


class Sealed(NamedTuple):
    """What was sealed for an account: the digest of a recording, its bytes, and the id of a voice."""

    account: str
    digest: str
    plain: bytes
    voice: str


async def fill(store: Store, vault: Vault, accounts: int = 4) -> list[Sealed]:
    """For each account a recording, a voice of it, and a consent with another recording."""
    sealed = []
    for number in range(accounts):
        account, plain = f"acc_{number}", f"recording {number}".encode() * 5000
        digest = await vault.put(account, plain)
        said = await vault.seal_record(account, f"name of {account}", Said(f"Ada {number}"))
        voice = await add_voice(store, account, digest, id_=f"name of {account}", record=said)
        phrase = await vault.put(account, plain[:100])
        consent = await vault.seal_record(account, f"consent of {account}", Said(f"phrase {number}"))
        await add_consent(store, account, phrase, id_=f"consent of {account}", record=consent)
        sealed += [Sealed(account, digest, plain, voice), Sealed(account, phrase, plain[:100], "")]
    return sealed


async def check(store: Store, data: Path, section: VaultSection, sealed: list[Sealed]) -> None:
    """Open all that was sealed with these keys. Raises VaultFailed."""
    vault = Vault(store, section, data)
    for each in sealed:
        assert await vault.open(each.account, each.digest) == each.plain
        # The account's key, too: the same bytes have the same digest.
        assert await vault.put(each.account, each.plain) == each.digest
    rows = await store.read(
        "SELECT id, account, wrapped, sealed FROM voices UNION ALL "
        "SELECT id, account, wrapped, sealed FROM consents"
    )
    for row in rows:
        said = vault.open_record(row["account"], row["id"], SealedRecord(row["wrapped"], row["sealed"]), Said)
        assert said.name.startswith(("Ada", "phrase"))
