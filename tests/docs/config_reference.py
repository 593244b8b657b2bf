"""The generated page of config.toml: keys, defaults and forms of the code, meanings of the sample file."""

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any, NamedTuple, get_origin

import msgspec

from proxy.config.clusters import ClusterSection, HostSection
from proxy.config.engines import CostSection
from proxy.config.feature_switches import FeatureSwitches
from proxy.config.plans import PlanSection, PriceSection
from proxy.config.routes import RouteSection
from proxy.config.sections import (
    ConsentSection,
    EngineSection,
    LimitsStore,
    Server,
    Storage,
    Upstream,
    VaultSection,
    VoiceSection,
)
from proxy.feature_list import all_sections
from proxy.features.payments.section import MercadoPagoSection, StripeSection, _WrittenOffer, _WrittenPack
from tests.docs import markdown
from tests.docs.pages import ROOT

FILE = ROOT / "examples" / "config.reference.toml"
# What a struct collects under a name of its own, or is told by the reader, is no key of the file, and a table
# of its own has a section of its own.
_NO_KEYS = (
    *("settings", "bindings", "fault", "prices", "costs", "credentials"),
    *("mercadopago", "stripe", "plans", "packs"),
)
SECTIONS: dict[str, tuple[str, type[msgspec.Struct]]] = {
    "[server]": ("[server]", Server),
    "[storage]": ("[storage]", Storage),
    "[limits]": ("[limits]", LimitsStore),
    **{
        f"[{each.name}]": (f"[{each.name}]", each.type_)
        for each in all_sections()
        if get_origin(each.type_) is None
    },
    "[payments.plans.studio]": ("[payments.plans.NAME]", _WrittenOffer),
    "[payments.packs.small]": ("[payments.packs.NAME]", _WrittenPack),
    "[payments.mercadopago]": ("[payments.mercadopago]", MercadoPagoSection),
    "[payments.stripe]": ("[payments.stripe]", StripeSection),
    "[vault]": ("[vault]", VaultSection),
    "[consent]": ("[consent]", ConsentSection),
    "[features]": ("[features]", FeatureSwitches),
    "[upstream]": ("[upstream]", Upstream),
    "[host]": ("[host]", HostSection),
    "[clusters.gpu]": ("[clusters.NAME]", ClusterSection),
    "[plans.studio]": ("[plans.NAME]", PlanSection),
    "[plans.studio.prices]": ("[plans.NAME.prices]", PriceSection),
    "[engines.espeak]": ("[engines.NAME]", EngineSection),
    "[engines.espeak.costs]": ("[engines.NAME.costs]", CostSection),
    "[[routes]]": ("[[routes]]", RouteSection),
    "[voices.narrator]": ("[voices.NAME]", VoiceSection),
}
_KEY = re.compile(r"^(#?)(?:[\w\"*]+\.)?(\w+) = (.+)$")
_PAGE = re.compile(r"\(?docs/([\w-]+\.md)(#[\w-]+)?\)?")


class Sample(NamedTuple):
    """A key as the sample file has it. `value` is None where the line is a comment."""

    meaning: str
    value: Any


def text() -> str:
    sections = dict(_read())
    lines = markdown.head(
        "Keys of the configuration",
        "Look up a key of `config.toml`. How the file is read: [configuration](../configuration.md). The "
        "same as a file to copy from: [config.reference.toml](../../examples/config.reference.toml).",
    )
    for name, (heading, type_) in SECTIONS.items():
        about, samples = sections[name]
        rows = [
            (f"`{key}`", shown(default), form, _linked(samples[key].meaning))
            for key, default, form in keys(type_)
        ]
        lines += [f"## {heading}", "", *([_linked(about), ""] if about else [])]
        lines += [*markdown.table(("key", "default", "must be", "meaning"), rows), ""]
    return markdown.page(lines)


def samples() -> Iterator[tuple[str, type[msgspec.Struct], dict[str, Sample]]]:
    """Each section of the sample file, with the struct that reads it."""
    for name, (_about, found) in list(_read()):
        yield (SECTIONS[name][0], SECTIONS[name][1], found)


def keys(type_: type[msgspec.Struct]) -> Iterator[tuple[str, Any, str]]:
    """Each key with its default, `...` if it is needed, and its form."""
    (schema,), components = msgspec.json.schema_components([type_])
    properties = components[schema["$ref"].rpartition("/")[2]]["properties"] if "$ref" in schema else {}
    for field in msgspec.structs.fields(type_):
        if field.name not in _NO_KEYS:
            yield (field.encode_name, _default(field), _form(properties.get(field.encode_name, {})))


def shown(default: Any) -> str:
    if default is ...:
        return "needed"
    if default is None:
        return "none"
    return f"`{json.dumps(default)}`"


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default is msgspec.NODEFAULT:
        return ...
    return list(field.default) if isinstance(field.default, tuple) else field.default


def _form(field: dict[str, Any]) -> str:
    described = [each.get("description", "") for each in (field, *field.get("anyOf", ()))]
    return next(filter(None, described), "")


def _read() -> Iterator[tuple[str, tuple[str, dict[str, Sample]]]]:
    """Each section of the sample file with what stands above it, and its keys with what stands above each."""
    comment: list[str] = []
    found: dict[str, Sample] = {}
    for line in FILE.read_text().partition("\n\n")[2].splitlines():
        if key := _KEY.match(line):
            value = None if key[1] else tomllib.loads(f"x = {key[3]}")["x"]
            found[key[2]] = Sample(" ".join(comment), value)
        elif line.startswith(("[", "#[")):
            # Offers are commented out, since they are a fault where no provider has a key.
            found = {}
            yield (line.removeprefix("#"), (" ".join(comment), found))
        elif line.startswith("# "):
            comment.append(line[2:])
            continue
        comment = []


def _linked(text: str) -> str:
    """What a comment says, with each page that it names as a link."""
    return _PAGE.sub(lambda match: f"([{match[1].removesuffix('.md')}](../{match[1]}{match[2] or ''}))", text)
