"""GET /v1/me: the account of a key, its plan, its limits, and what is left."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from policies.limits import COUNT_LIMITS, limit_values, with_limits
from policies.plans import ConsentRule, Minutes, Terms
from proxy.access.callers import caller_of
from proxy.access.sessions import session_or_none
from proxy.api.admin_tools import AdminTools
from proxy.catalogue.people import UserEntry, account_title
from proxy.errors import InvalidKey, NotAllowed
from proxy.features.admin.agreed_terms import ShownPrices, shown_prices
from proxy.features.admin.balance import Balance, ShownCaps, ShownCycle, read_balance
from proxy.features.admin.minutes import allowed_minutes, minutes_for
from proxy.features.voice_list.voices import VoiceTools
from proxy.http.lists import iso_time_or_none
from proxy.http.replies import reply, struct_from
from proxy.http.resource import Resource, endpoint
from proxy.storage import accounts, key_records
from proxy.storage.accounts import Account
from proxy.storage.key_records import Role


class OwnAccount(msgspec.Struct, frozen=True):
    """`title` is its name for people: for those who have signed in, a name that was made up is the address of
    its first user."""

    id: str
    name: str
    title: str


class OwnKey(msgspec.Struct, frozen=True, kw_only=True):
    """The key of this request; `hint` is the end of its secret."""

    id: str
    name: str
    role: Role
    hint: str
    caps: ShownCaps


class OwnPlan(msgspec.Struct, frozen=True):
    """`price` is a display text, and "" if the plan is free. If `consent` is "required", a voice of a
    recording needs the speaker's consent. `minutes` are those of each cycle, null if that cannot be said."""

    name: str
    price: str
    consent: ConsentRule
    minutes: Minutes | None


class NextPlan(msgspec.Struct, frozen=True):
    """The plan after a paid month, with the `minutes` of each cycle, null if that cannot be said."""

    name: str
    minutes: Minutes | None


@with_limits(COUNT_LIMITS, lambda row: row.shown_type | None)
class OwnLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The account's limits, for all its keys together. Null is no limit; `engines` null means all."""

    engines: tuple[str, ...] | None


class MeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`prices` are its own. `streams` counts its running requests, `clones_used` this cycle's clones, and
    `voices_used` its saved voices. `user` is the person who has signed in, and null with an API key. After
    `paid_until` the account has the `next_plan`. Requests that name no voice have the `preferred_voice`.
    `minutes` of speech are left; null if that cannot be said.
    """

    account: OwnAccount
    user: UserEntry | None
    key: OwnKey
    plan: OwnPlan
    limits: OwnLimits
    prices: ShownPrices
    cycle: ShownCycle
    credits: Balance
    minutes: Minutes | None
    streams: int
    clones_used: int
    voices_used: int
    preferred_voice: str | None
    favourite_voices: tuple[str, ...]
    paid_until: str | None
    next_plan: NextPlan | None


class Me(Resource):
    def __init__(self, admin_tools: AdminTools, voices: VoiceTools) -> None:
        self._ledger = admin_tools.ledger
        self._people = admin_tools.people
        self._plans = voices.plans
        self._library = voices.library
        self._config = admin_tools.config

    @endpoint("GET", "/v1/me", MeAnswer, failures=(NotAllowed,))
    async def get_me(self, request: Request) -> Response:
        """The account, the key, the plan, its limits, and what is left"""
        caller = caller_of(request.scope)
        terms = self._plans.terms(caller)
        account = await accounts.get(self._ledger.store, caller.account)
        key = await key_records.get(self._ledger.store, caller.account, caller.key)
        if account is None or key is None:
            raise InvalidKey("This key is no longer known here.")
        account_balance = await read_balance(self._ledger, account.id, key.id, account.anchor, terms)
        session = session_or_none(request.scope)
        addresses: Sequence[str] = ()
        if session is not None:
            addresses = (await self._people.addresses([account.id])).get(account.id, ())
        library = await self._library.get(account.id)
        return reply(
            MeAnswer(
                account=OwnAccount(account.id, account.name, account_title(account.name, addresses)),
                user=None if session is None else await self._people.user(session.user),
                key=struct_from(OwnKey, key, caps=struct_from(ShownCaps, key.caps)),
                plan=self._own_plan(terms),
                limits=OwnLimits(engines=terms.engines, **limit_values(terms, COUNT_LIMITS)),
                prices=shown_prices(terms.prices),
                cycle=account_balance.cycle,
                credits=account_balance.balance,
                minutes=minutes_for(account_balance.available_micro_credits, terms, self._config),
                streams=account_balance.running,
                clones_used=account_balance.clones_used,
                voices_used=len(library.own.saved),
                preferred_voice=account.preferred_voice or None,
                favourite_voices=account.favourite_voices,
                paid_until=iso_time_or_none(account.paid_until),
                next_plan=self._next_plan(account),
            )
        )

    def _own_plan(self, terms: Terms) -> OwnPlan:
        price = self._plans.by_name[terms.plan].price
        return OwnPlan(terms.plan, price, terms.consent, allowed_minutes(terms, self._config))

    def _next_plan(self, account: Account) -> NextPlan | None:
        plan = self._plans.by_name.get(account.lapsed_plan)
        if account.paid_until is None or plan is None:
            return None
        return NextPlan(plan.name, allowed_minutes(plan, self._config))
