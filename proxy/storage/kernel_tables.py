"""The declarations of the kernel's own tables. Features declare theirs."""

from __future__ import annotations

from proxy.storage.disk_names import ANSWERS, DiskName, UnsafeName, account_name, owner_name
from proxy.storage.rows import decode_json
from proxy.storage.tables import Erasable, PathColumn, Table, Tables


def _check_digests(text: object) -> None:
    """Raise UnsafeName unless the text is a JSON list of digests."""
    try:
        digests = decode_json(text) if isinstance(text, str) else None
    except ValueError:
        digests = None
    if not isinstance(digests, list):
        raise UnsafeName(f"{ascii(text)[:100]} is no list of digests")
    for digest in digests:
        DiskName(digest)


def _check_object(text: object) -> None:
    """Raise UnsafeName unless the text is a digest, a dot, and a random part."""
    digest, _, random = text.partition(".") if isinstance(text, str) else (text, "", "")
    DiskName(digest), DiskName(random)


def _check_answer(text: object) -> None:
    """Raise UnsafeName unless the text names the object of an answer."""
    DiskName(str(text).removeprefix(f"{ANSWERS}/"))


KERNEL_TABLES: Tables = (
    *(Table(name) for name in ("schema_version", "entries", "balances", "holds", "usage", "costs")),
    *(Table(name) for name in ("installation", "clone_counts", "refusals", "library_revisions")),
    Table(
        "accounts",
        paths=(PathColumn("id", account_name),),
        erased_with=(
            "UPDATE accounts SET preferred_voice = '' WHERE preferred_voice = :subject",
            """
            UPDATE accounts SET favourite_voices = replace(favourite_voices, '"' || :subject || '"', '')
            WHERE favourite_voices LIKE '%"' || :subject || '"%'
            """,
        ),
    ),
    Table("keys", paths=(PathColumn("account", account_name),)),
    Table("audit", personal=True),
    Table(
        "account_keys",
        key=("account",),
        sealed=True,
        personal=True,
        paths=(PathColumn("account", owner_name),),
    ),
    Table(
        "blobs",
        key=("account", "digest"),
        sealed=True,
        personal=True,
        paths=(
            *(PathColumn("account", owner_name), PathColumn("digest")),
            PathColumn("object", _check_object, unless=""),
        ),
    ),
    Table(
        "samples",
        key=("voice", "number", "id"),
        sealed=True,
        recordings=("digest",),
        personal=True,
        paths=(PathColumn("account", owner_name), PathColumn("digest")),
        erasable=Erasable(
            "clip_",
            "SELECT digest FROM samples WHERE id = :subject AND id <> ''",
            ("DELETE FROM samples WHERE id = :subject AND id <> ''",),
            is_part=True,
        ),
    ),
    Table(
        "trained_models",
        recordings=("digest",),
        personal=True,
        paths=(PathColumn("account", owner_name), PathColumn("digest")),
    ),
    Table(
        "answer_claims",
        sealed=True,
        personal=True,
        paths=(PathColumn("account", account_name), PathColumn("object", _check_answer, unless="")),
        closed_with=("DELETE FROM answer_claims WHERE account = :id",),
    ),
    Table("introductions", key=("engine",)),
    Table("former_models", key=("voice", "digest"), paths=(PathColumn("digest"),)),
    Table("erasures", paths=(PathColumn("account", owner_name), PathColumn("digests", _check_digests))),
)
