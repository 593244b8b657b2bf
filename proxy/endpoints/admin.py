"""/admin/…: accounts, keys and engines, for keys with the role `admin` and for the CLI over control.sock."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from proxy import keys, wire
from proxy.callers import Callers
from proxy.endpoints.connection import Connection
from proxy.endpoints.replies import reply
from proxy.engines.live import Engines, EngineStatus
from proxy.engines.registry import Registry
from proxy.errors import Conflict, InvalidRequest, NotFound
from proxy.storage import accounts, key_records
from proxy.storage.accounts import Account
from proxy.storage.key_records import KeyRecord, Role
from proxy.storage.store import AlreadyExists, Store

_MAX_BODY_BYTES = 64 * 1024
# No control characters: no database keeps a NUL, and no terminal shows the others as they are.
_PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f]*\Z"
_Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=100,
        pattern=_PRINTABLE,
        description="a text of 1 to 100 printable characters",
    ),
]


class NewAccount(msgspec.Struct, frozen=True):
    name: _Name
    plan: _Name = "free"


class AccountChange(msgspec.Struct, frozen=True):
    plan: _Name


class NewKey(msgspec.Struct, frozen=True):
    account: Annotated[
        str,
        Meta(
            min_length=1, max_length=100, pattern=_PRINTABLE, description="the id or the name of an account"
        ),
    ]
    role: Annotated[Role, Meta(description="one of speech, admin")] = "speech"
    name: Annotated[
        str, Meta(max_length=100, pattern=_PRINTABLE, description="a text of up to 100 printable characters")
    ] = ""
    expires_in_s: (
        Annotated[int, Meta(ge=1, le=100 * 365 * 86_400, description="a number of seconds, at least 1")]
        | None
    ) = None


class AccountList(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[Account]


class AccountWithKeys(Account, frozen=True, kw_only=True):
    keys: list[KeyRecord]


class KeyList(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[KeyRecord]


class MintedKey(KeyRecord, frozen=True, kw_only=True):
    """A key with its secret, which is shown this once."""

    key: str

    def __repr__(self) -> str:
        return f"<MintedKey {self.id}>"


class FailedPlugin(msgspec.Struct, frozen=True):
    plugin: str
    stage: str
    reason: str


class EngineStatuses(msgspec.Struct, frozen=True, kw_only=True):
    """The engines of the configuration, and the plugins that disabled themselves."""

    object: Literal["list"] = "list"
    data: tuple[EngineStatus, ...]
    faults: list[FailedPlugin]


class Accounts:
    def __init__(self, store: Store, callers: Callers) -> None:
        self._store = store
        self._callers = callers

    async def create(self, request: Request) -> Response:
        wanted = wire.parse(NewAccount, await _body(request))
        try:
            created = await accounts.create(self._store, name=wanted.name, plan=wanted.plan)
        except AlreadyExists:
            raise Conflict(
                f"There is an account with the name '{wanted.name}' already.", param="name"
            ) from None
        return reply(created, 201)

    async def list_(self, _request: Request) -> Response:
        return reply(AccountList(data=await accounts.list_(self._store)))

    async def show(self, request: Request) -> Response:
        account = await self.get(request.path_params["id"])
        held = await key_records.list_(self._store, account=account.id)
        return reply(AccountWithKeys(**_plain(account), keys=held))

    async def change(self, request: Request) -> Response:
        account = await self.get(request.path_params["id"])
        change = wire.parse(AccountChange, await _body(request))
        changed = await accounts.set_plan(self._store, account.id, change.plan)
        self._callers.forget(account.id)
        return reply(changed)

    async def close(self, request: Request) -> Response:
        account = await self.get(request.path_params["id"])
        closed = await accounts.close(self._store, account.id)
        self._callers.forget(account.id)
        return reply(closed)

    async def get(self, id_or_name: str) -> Account:
        account = await accounts.get(self._store, id_or_name) if _can_be_named(id_or_name) else None
        if account is None:
            raise NotFound(f"There is no account '{id_or_name[:80]}'.", param="account")
        return account


class Keys:
    def __init__(self, store: Store, callers: Callers, accounts_: Accounts) -> None:
        self._store = store
        self._callers = callers
        self._accounts = accounts_

    async def create(self, request: Request) -> Response:
        wanted = wire.parse(NewKey, await _body(request))
        account = await self._accounts.get(wanted.account)
        if account.closed is not None:
            raise InvalidRequest(f"The account '{account.name}' is closed.", param="account")
        expires = (
            None if wanted.expires_in_s is None else await self._store.now() + wanted.expires_in_s * 1_000_000
        )
        secret = keys.mint()
        record = await key_records.create(
            self._store, secret, account=account.id, role=wanted.role, name=wanted.name, expires=expires
        )
        return _minted(record, secret)

    async def list_(self, request: Request) -> Response:
        wanted = request.query_params.get("account")
        account = None if wanted is None else (await self._accounts.get(wanted)).id
        return reply(KeyList(data=await key_records.list_(self._store, account=account)))

    async def revoke(self, request: Request) -> Response:
        key = await self._get(request.path_params["id"])
        revoked = await key_records.revoke(self._store, key.id)
        self._callers.forget(key.id)
        return reply(revoked)

    async def rotate(self, request: Request) -> Response:
        """A new secret with the old one's account, role, name and expiry; the old one is dead afterwards."""
        key = await self._get(request.path_params["id"])
        secret = keys.mint()
        rotated = await key_records.rotate(self._store, key.id, secret)
        if rotated is None:
            raise InvalidRequest(f"The key {key.id} is revoked; create a new one.", param="id")
        self._callers.forget(key.id)
        return _minted(rotated, secret)

    async def _get(self, id_: str) -> KeyRecord:
        key = await key_records.get(self._store, id_) if _can_be_named(id_) else None
        if key is None:
            raise NotFound(f"There is no key '{id_[:80]}'; keys are named by their id (key_…).", param="id")
        return key


class EngineList:
    def __init__(self, engines: Engines, registry: Registry) -> None:
        self._engines = engines
        self._registry = registry

    async def list_(self, _request: Request) -> Response:
        faults = [FailedPlugin(fault.name, fault.stage, fault.reason) for fault in self._registry.faults]
        return reply(EngineStatuses(data=await self._engines.statuses(), faults=faults))


def routes(store: Store, callers: Callers) -> list[Route]:
    of_accounts = Accounts(store, callers)
    of_keys = Keys(store, callers, of_accounts)
    return [
        Route("/admin/accounts", of_accounts.list_, methods=["GET"]),
        Route("/admin/accounts", of_accounts.create, methods=["POST"]),
        Route("/admin/accounts/{id:path}", of_accounts.show, methods=["GET"]),
        Route("/admin/accounts/{id:path}", of_accounts.change, methods=["POST"]),
        Route("/admin/accounts/{id:path}", of_accounts.close, methods=["DELETE"]),
        Route("/admin/keys", of_keys.list_, methods=["GET"]),
        Route("/admin/keys", of_keys.create, methods=["POST"]),
        Route("/admin/keys/{id}", of_keys.revoke, methods=["DELETE"]),
        Route("/admin/keys/{id}/rotate", of_keys.rotate, methods=["POST"]),
    ]


def engine_routes(engines: Engines, registry: Registry) -> list[Route]:
    return [Route("/admin/engines", EngineList(engines, registry).list_, methods=["GET"])]


async def _body(request: Request) -> bytes:
    return await Connection(request.scope, request.receive, _no_send).body(_MAX_BODY_BYTES)


async def _no_send(_message: Any) -> None:
    """These handlers answer by returning."""


def _minted(record: KeyRecord, secret: keys.Key) -> Response:
    return reply(MintedKey(**_plain(record), key=secret.reveal()), 201)


def _can_be_named(id_or_name: str) -> bool:
    return re.search(_PRINTABLE, id_or_name) is not None


def _plain(record: Account | KeyRecord) -> dict[str, Any]:
    return msgspec.structs.asdict(record)
