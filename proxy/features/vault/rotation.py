"""/admin/vault: the change of the master key, some rows at a time."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from proxy.api.admin_tools import AdminTools
from proxy.errors import InvalidRequest
from proxy.file_store.master_keys import rewrap_some
from proxy.file_store.vault import Vault
from proxy.http.body import read_body
from proxy.http.replies import reply, struct_from
from proxy.http.resource import Resource, endpoint
from proxy.storage import audit


class NextRows(msgspec.Struct, frozen=True):
    """`skip` is the sum of `damaged` of the answers before."""

    skip: Annotated[int, Meta(ge=0, description="a number of rows")] = 0


class MissingMaster(msgspec.Struct, frozen=True):
    """A master key that is not configured, and the rows that need it."""

    id: str
    rows: int


class Rotation(msgspec.Struct, frozen=True, kw_only=True):
    """`rewrapped` rows now need the newest master key. Ask again until `left` is the sum of `damaged` of all
    answers. `master` is the key's id, or null if nothing was ever sealed. Damaged rows cannot be opened, and
    stay."""

    object: Literal["vault.rotation"] = "vault.rotation"
    master: str | None
    rewrapped: int
    damaged: int
    left: int
    missing: list[MissingMaster]


class VaultRotation(Resource):
    def __init__(self, admin_tools: AdminTools, vault: Vault) -> None:
        self._admin_tools = admin_tools
        self._vault = vault

    @endpoint("POST", "/admin/vault/rotations", Rotation, body=NextRows, failures=(InvalidRequest,))
    async def rotate_master_key(self, request: Request) -> Response:
        """Wrap some keys anew with the newest master key"""
        rows = await read_body(request, NextRows)
        store = self._admin_tools.store
        if not rows.skip:
            # Before the rows, so that the old key is needed until the lines are signed.
            await self._admin_tools.erasing.sign_lines()
        step = await rewrap_some(store, self._vault.masters, rows.skip)
        if step is None:
            return reply(Rotation(master=None, rewrapped=0, damaged=0, left=0, missing=[]))
        # Only damaged rows are left, so the rotation is complete.
        if step.rewrapped and step.left == rows.skip + step.damaged:
            act = await self._admin_tools.audit_row(request, "master_key.rotated", step.master, "")
            await store.write(*audit.insert_statements(act))
        return reply(
            struct_from(Rotation, step, missing=[MissingMaster(use.id, use.rows) for use in step.missing])
        )
