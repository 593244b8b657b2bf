"""The entry of the feature lexicons in the list of feature_list.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from policies import lexicon
from policies.lexicon import Words
from proxy.config.config_toml import Config
from proxy.config.finding import Finding, ProbeResults, note, ok
from proxy.engines.registry import Registry
from proxy.feature import Additions, AppContext, Feature, FeatureInstance, RevisionContext
from proxy.features.lexicons.records import TABLE
from proxy.features.lexicons.section import SECTION


def check_lexicons(config: Config, _registry: Registry, _results: ProbeResults) -> list[Finding]:
    return [_lexicon_finding(name, words) for name, words in SECTION.of(config).items()]


def _lexicon_finding(name: str, words: Words) -> Finding:
    count = f"{len(words)} word(s)"
    if lexicon.is_language_tag(name):
        return ok("lexicon", f"{count}, in texts of the language {name}", name=name)
    found = f"{count}, only for requests that name it"
    tag = name.replace("_", "-")
    if tag != name and lexicon.is_language_tag(tag):
        section = f"[lexicons.{lexicon.usual_name(tag)}]"
        return note("lexicon", f"{found}; for texts in the language, write {section}", name=name)
    return ok("lexicon", found, name=name)


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    from proxy.features.lexicons.endpoints import LexiconEndpoints, LexiconStore
    from proxy.features.lexicons.records import AccountWords

    def additions_for(revision: RevisionContext) -> Additions:
        lexicons = LexiconStore(context.store, revision.library, revision.context.purges)
        shared = SECTION.of(revision.config)
        return Additions(LexiconEndpoints(revision.admin_tools, lexicons, shared).endpoints)

    yield FeatureInstance(context._replace(words=AccountWords(context.store)), additions_for)


FEATURE = Feature(
    "lexicons",
    _open,
    tables=(TABLE,),
    paths=("/v1/lexicons", "/admin/lexicons"),
    text_checks=(check_lexicons,),
)
