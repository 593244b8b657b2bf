"""/admin/keys: an operator makes, lists, revokes and rotates keys. A secret is shown once."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from policies.limits import KEY_LIMITS, Caps, with_limits
from proxy.api.admin_tools import ACCOUNT_QUERY, AdminTools
from proxy.errors import InvalidRequest, NotFound
from proxy.features.admin.balance import ShownCaps
from proxy.http.body import AccountName, Label, is_printable, read_body
from proxy.http.lists import PAGE, Listing, iso_time, iso_time_or_none, read_page
from proxy.http.replies import reply
from proxy.http.resource import Resource, endpoint
from proxy.storage import api_key, key_records
from proxy.storage.key_records import KeyRecord, NewKeyRecord, Role
from proxy.storage.rows import new_id
from speech_engine.redacted import Redacted


@with_limits(KEY_LIMITS, lambda row: row.number | None, default=None)
class NewCaps(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The key's own limits, if they are lower than the account's, and its pace."""

    pace: Annotated[Literal["live"], Meta(description="live")] | None = None


class KeyFields(msgspec.Struct, frozen=True, kw_only=True):
    """What a user may say of a new key."""

    name: Label = ""
    expires_in_s: (
        Annotated[int, Meta(ge=1, le=100 * 365 * 86_400, description="a number of seconds, at least 1")]
        | None
    ) = None
    caps: Annotated[NewCaps, Meta(description=f"an object with {', '.join(KEY_LIMITS)} and pace")] = NewCaps()

    def record(self, account: str, role: Role, now: int) -> NewKeyRecord:
        """Return the record of such a key, made `now`, in microseconds."""
        expires = None if self.expires_in_s is None else now + self.expires_in_s * 1_000_000
        caps = Caps(**msgspec.structs.asdict(self.caps))
        return NewKeyRecord(account=account, role=role, name=self.name, expires=expires, caps=caps)


class NewKey(KeyFields, frozen=True, kw_only=True):
    account: AccountName
    role: Annotated[Role, Meta(description="one of speech, admin, host")] = "speech"
    cluster: (
        Annotated[str, Meta(pattern=r"^[a-z0-9_-]{1,64}\Z", description="the name of a cluster")]
        | msgspec.UnsetType
    ) = msgspec.UNSET
    hosts: (
        Annotated[int, Meta(ge=1, le=1000, description="a number of hosts, 1 to 1000")] | msgspec.UnsetType
    ) = msgspec.UNSET


class KeyEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A key without its secret. `hint` is the end of the secret."""

    id: str
    account: str
    role: Role
    name: str
    hint: str
    created: str
    expires: str | None
    revoked: str | None
    caps: ShownCaps


class KeyList(Listing, frozen=True, kw_only=True):
    """The newest first."""

    data: list[KeyEntry]


class MintedKey(Redacted, KeyEntry, frozen=True, kw_only=True):
    """A key with its secret, which is shown this once."""

    key: str


class Keys(Resource):
    def __init__(self, admin_tools: AdminTools) -> None:
        self._admin_tools = admin_tools
        self._store = admin_tools.store

    @endpoint(
        "GET", "/admin/keys", KeyList, queries=(ACCOUNT_QUERY, *PAGE), failures=(InvalidRequest, NotFound)
    )
    async def list_keys(self, request: Request) -> Response:
        """Keys, without their secrets, the newest first"""
        account = await self._admin_tools.query_account(request)
        page = await read_page(
            request,
            partial(key_records.place_of, self._store, account),
            partial(key_records.page, self._store, account),
        )
        return await page.list_response(KeyList, key_entry)

    @endpoint("POST", "/admin/keys", MintedKey, status=201, body=NewKey, failures=(NotFound,))
    async def create_key(self, request: Request) -> Response:
        """Make a key; its secret is shown this once"""
        new = await read_body(request, NewKey)
        account = await self._admin_tools.find_account(new.account)
        if account.closed is not None:
            raise InvalidRequest(f"The account '{account.name}' is closed.", param="account")
        act = await self._admin_tools.audit_row(
            request, "key.created", new_id("key"), account.id, role=new.role, name=new.name, caps=new.caps
        )
        record, secret = _for_cluster(new, new.record(account.id, new.role, act.at)), api_key.mint()
        return minted_key_reply(await key_records.create(self._store, secret, record, act), secret)

    @endpoint("DELETE", "/admin/keys/{id}", KeyEntry, failures=(NotFound,))
    async def revoke_key(self, request: Request) -> Response:
        """End a key"""
        return await revoke(self._admin_tools, request, await self._find_key(request.path_params["id"]))

    @endpoint("POST", "/admin/keys/{id}/rotate", MintedKey, status=201, failures=(InvalidRequest, NotFound))
    async def rotate_key(self, request: Request) -> Response:
        """Replace a key by a new one with the same rights"""
        return await rotate(self._admin_tools, request, await self._find_key(request.path_params["id"]))

    async def _find_key(self, id_: str) -> KeyRecord:
        if id_.startswith(api_key.PREFIX):
            # The message must not repeat a secret.
            raise NotFound(
                "A key is named by its id (key_…), not by its secret; see voxgate keys list.", param="id"
            )
        key = await key_records.get(self._store, None, id_) if is_printable(id_) else None
        if key is None or key.kind == "user":
            raise NotFound(
                f"There is no key '{id_[:80]}'; see voxgate keys list for ids (key_…).", param="id"
            )
        return key


async def revoke(admin_tools: AdminTools, request: Request, key: KeyRecord) -> Response:
    act = await admin_tools.audit_row(request, "key.revoked", key.id, key.account)
    revoked = await key_records.revoke(admin_tools.store, key.id, act)
    admin_tools.callers.forget(key.id)
    return reply(key_entry(revoked or key))


async def rotate(admin_tools: AdminTools, request: Request, key: KeyRecord) -> Response:
    act = await admin_tools.audit_row(request, "key.rotated", new_id("key"), key.account, replaces=key.id)
    secret = api_key.mint()
    rotated = await key_records.rotate(admin_tools.store, key.id, secret, act)
    if rotated is None:
        raise InvalidRequest(
            f"The key {key.id} is revoked, has expired, or its account is closed; create a new one.",
            param="id",
        )
    admin_tools.callers.forget(key.id)
    return minted_key_reply(rotated, secret)


def key_entry(record: KeyRecord) -> KeyEntry:
    return KeyEntry(**_entry_fields(record))


def minted_key_reply(record: KeyRecord, secret: api_key.ApiKey) -> Response:
    return reply(MintedKey(**_entry_fields(record), key=secret.reveal()), 201)


def _entry_fields(record: KeyRecord) -> dict[str, Any]:
    times = {"created": iso_time(record.created)}
    ends = {name: iso_time_or_none(getattr(record, name)) for name in ("expires", "revoked")}
    caps = ShownCaps(**msgspec.structs.asdict(record.caps))
    columns = {name: getattr(record, name) for name in KeyEntry.__struct_fields__}
    return {**columns, **times, **ends, "caps": caps}


def _for_cluster(new: NewKey, record: NewKeyRecord) -> NewKeyRecord:
    """Return the record of a key with its cluster. Raises InvalidRequest if only one of both is for hosts."""
    if new.role == "host" and new.cluster is msgspec.UNSET:
        raise InvalidRequest("A key of the role 'host' needs a 'cluster'.", param="cluster")
    caps = msgspec.structs.replace(record.caps, cluster=new.cluster, hosts=new.hosts)
    if new.role != "host" and caps != record.caps:
        raise InvalidRequest("Only a key of the role 'host' has a cluster and hosts.", param="cluster")
    return msgspec.structs.replace(record, caps=caps)
