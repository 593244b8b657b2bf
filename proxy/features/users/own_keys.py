"""/v1/keys: the users of an account make, list, revoke and rotate its API keys.

They have the role `speech`. The admin keys of an operator's account are not seen here: else each of its users
could make one.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from proxy.access.admission import Plans
from proxy.access.callers import caller_of
from proxy.api.admin_tools import AdminTools
from proxy.errors import InvalidRequest, NotAllowed, NotFound
from proxy.features.admin import keys
from proxy.features.admin.keys import KeyEntry, KeyFields, KeyList, MintedKey
from proxy.http.body import is_printable, read_body
from proxy.http.lists import PAGE, read_table_page
from proxy.http.resource import Resource, endpoint
from proxy.storage import api_key, key_records
from proxy.storage.key_records import KeyRecord
from proxy.storage.rows import new_id

_ROOT = "/v1/keys"
_MOST_KEYS = 1000
"""The most working keys of an account whose plan has no limit."""


class OwnKeys(Resource):
    """The keys of the caller's account."""

    def __init__(self, admin_tools: AdminTools, plans: Plans) -> None:
        self._admin_tools = admin_tools
        self._store = admin_tools.store
        self._plans = plans

    @endpoint("GET", _ROOT, KeyList, access="session", queries=PAGE, failures=(InvalidRequest,), pace="list")
    async def list_own_keys(self, request: Request) -> Response:
        """The account's API keys, without their secrets, the newest first"""
        account = caller_of(request.scope).account
        listed = await read_table_page(request, key_records.USER_KEYS, self._store, account)
        return await listed.list_response(KeyList, keys.key_entry)

    @endpoint(
        "POST",
        _ROOT,
        MintedKey,
        status=201,
        access="fresh session",
        body=KeyFields,
        failures=(NotAllowed,),
    )
    async def create_own_key(self, request: Request) -> Response:
        """Make an API key; its secret is shown this once"""
        new, caller = await read_body(request, KeyFields), caller_of(request.scope)
        terms = self._plans.terms(caller)
        most = _MOST_KEYS if terms.keys is None else terms.keys
        if not most:
            raise NotAllowed(f"Your plan '{terms.plan}' has no API keys.", code="no_api_keys")
        details = {"role": "speech", "name": new.name, "caps": new.caps}
        act = await self._admin_tools.audit_row(
            request, "key.created", new_id("key"), caller.account, **details
        )
        secret = api_key.mint()
        created = await key_records.create_limited(
            self._store, secret, new.record(caller.account, "speech", act.at), most, act
        )
        if created is None:
            raise NotAllowed(
                f"Your account has {most} API keys that work, the most of your plan '{terms.plan}'. Revoke "
                "one that you do not need.",
                code="too_many_keys",
            )
        return keys.minted_key_reply(created, secret)

    @endpoint("DELETE", f"{_ROOT}/{{id}}", KeyEntry, access="fresh session", failures=(NotFound,))
    async def revoke_own_key(self, request: Request) -> Response:
        """End an API key"""
        return await keys.revoke(self._admin_tools, request, await self._find_key(request))

    @endpoint(
        "POST",
        f"{_ROOT}/{{id}}/rotate",
        MintedKey,
        status=201,
        access="fresh session",
        failures=(InvalidRequest, NotFound),
    )
    async def rotate_own_key(self, request: Request) -> Response:
        """Replace an API key by a new one with the same rights"""
        return await keys.rotate(self._admin_tools, request, await self._find_key(request))

    async def _find_key(self, request: Request) -> KeyRecord:
        account, id_ = caller_of(request.scope).account, request.path_params["id"]
        key = await key_records.USER_KEYS.get(self._store, account, id_) if is_printable(id_) else None
        if key is None or (key.kind, key.role) != ("key", "speech"):
            raise NotFound(f"Your account has no key '{id_[:80]}'; see GET {_ROOT}.", param="id")
        return key
