"""The entry of the feature users in the list of feature_list.py."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial

from proxy.config.config_toml import Config
from proxy.config.finding import Finding, ProbeResults
from proxy.engines.registry import Registry
from proxy.feature import Additions, AppContext, Feature, FeatureInstance, RevisionContext
from proxy.features.users import records
from proxy.features.users.section import SECTION

_TIDY_S = 3600.0


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    from proxy.features.mail.mails import Mails
    from proxy.features.users import endpoints
    from proxy.features.users.own_account import SelfService
    from proxy.features.users.own_keys import OwnKeys
    from proxy.features.users.session_store import UserSessions, origin_of
    from proxy.features.users.sign_ins import SignIns
    from proxy.features.users.users_check import new_account_plan
    from proxy.features.voice_list.voices import VoiceTools
    from proxy.file_store.vault import Vault
    from proxy.http.endpoint import Endpoint
    from proxy.telemetry.background import repeat

    directory, mails = records.UserDirectory(context.store), context.find(Mails)
    sessions = UserSessions(context.store)
    sign_ins = SignIns(context.store, context.find(Vault), mails)
    mails.recipients = directory.recipients

    def additions_for(revision: RevisionContext) -> Additions:
        config = revision.config
        section = sign_ins.section = SECTION.of(config)
        mails.ceilings = records.mail_ceilings(section.mails_a_minute)
        directory.sign_in = "mail" if mails.is_on else "invitation"
        directory.terms, directory.privacy = section.terms, section.privacy
        directory.imprint = section.imprint
        directory.may_sign_up = section.sign_up == "open" and mails.is_on
        directory.plan = new_account_plan(config)
        if section.sign_up == "closed":
            directory.sign_in = "closed"
            return Additions()
        sign_ins.plan, sessions.origin = new_account_plan(config), origin_of(config.server.public_url)
        admin_tools = revision.admin_tools
        streams = admin_tools.callers.streams
        admin_tools.callers.forget_sessions = sessions.forget
        sessions.on_forget, streams.ended_sessions = streams.check_soon, sessions.ended_of
        served: list[Endpoint] = [
            *endpoints.Confirmations(sign_ins, sessions).endpoints,
            *endpoints.OwnSessions(admin_tools, sessions).endpoints,
            *endpoints.AdminUsers(admin_tools, sign_ins, sessions).endpoints,
        ]
        voices = VoiceTools.of(revision)
        if voices is not None:
            served += OwnKeys(admin_tools, voices.plans).endpoints
            served += SelfService(admin_tools, voices).endpoints
        if mails.is_on:
            served += endpoints.SignInRequests(sign_ins, sessions).endpoints
        return Additions(served, sessions=sessions)

    async def tidy() -> None:
        await sessions.tidy()
        await sign_ins.tidy()

    tidying = partial(repeat, "deletion of old sign-ins", tidy, _TIDY_S, context.metrics, tidies=True)
    yield FeatureInstance(
        context.with_shared(directory), additions_for, memories=(sessions,), tasks_of_one_server=(tidying,)
    )


def _missing(config: Config) -> str:
    return "set sign_up in [users]" if SECTION.of(config).sign_up == "closed" else ""


def _check(config: Config, registry: Registry, _results: ProbeResults) -> Iterator[Finding]:
    from proxy.features.users.users_check import check_users

    yield from check_users(config, registry)


FEATURE = Feature(
    "users",
    _open,
    tables=(records.USERS, records.SIGN_INS, records.COUNTS, records.SESSIONS),
    paths=("/sign-in", "/v1/sign-ins", "/v1/me", "/v1/keys", "/admin/users"),
    missing_setting=_missing,
    checks=(_check,),
)
