"""The saved voice that an operator's request names, and what its account may do with it."""

from __future__ import annotations

import msgspec
from starlette.requests import Request

from policies.plans import Terms
from proxy.api import account_overrides
from proxy.api.admin_tools import AdminTools
from proxy.catalogue.library import Library
from proxy.catalogue.voice_records import VoiceRecord
from proxy.config.reader import possible
from proxy.errors import Conflict, NotFound
from proxy.storage.accounts import Account


def terms_of(admin_tools: AdminTools, owner: Account) -> Terms:
    """Return what the plan of an account allows. Raises Conflict if it is not in force."""
    terms = account_overrides.in_force(owner.plan, owner.agreed, admin_tools.config)
    if terms is None:
        raise Conflict(f"The plan of the account '{owner.name}' is not in force.", param="account")
    # As with casts, the operator is not held to the room of the plan.
    return msgspec.structs.replace(terms, voices=None)


async def find_voice(admin_tools: AdminTools, library: Library, request: Request) -> VoiceRecord:
    """Return the saved voice that a request names, of the account that it names. Raises NotFound."""
    name = request.path_params["id"]
    account = await admin_tools.query_account(request)
    record = await library.find_any(account, name)
    if record is not None and account in (None, record.account):
        return record
    own = await library.get(account or "")
    saved = possible(name, [voice.name for voice in own.listed], "saved voices")
    if name in admin_tools.config.voices:
        why = (
            f"The voice '{name[:80]}' is in the configuration; only what was saved can be changed or deleted."
        )
    elif account is None:
        why = (
            f"No voice '{name[:80]}' was saved for everybody; "
            f"an account's is named by its id, or with the account. {saved}"
        )
    else:
        why = f"The account has no voice '{name[:80]}'. {saved}"
    raise NotFound(why, param="voice", code="voice_not_found")
