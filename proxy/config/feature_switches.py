"""[features]: the features that an operator turns off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

import msgspec

from proxy.config.reader import Reader, did_you_mean

KEY = "features.off"
_ALWAYS_ON = {
    "vault": "features seal there what accounts entrust to them",
    "pages": "clients and people ask there what this server is",
    "voice_list": "each client asks for the voices",
    "admin": "operators and accounts find their keys, plans and money there",
    "monitoring": "operators see there how the server is",
    "erasure": "each start repeats what a restored backup has undone",
    "models": "each start reads natural.toml",
}
_ON_WITH_POSTGRES = "cluster"

Needs = Mapping[str, tuple[str, ...]]
"""All features, each with those that it imports."""
NO_FEATURES: Needs = {}


def off_sentence(feature: str, setting: str) -> str:
    """Return the sentence for a feature that does not answer, with the `setting` that turns it on."""
    return f"The feature {feature} is off on this server. To turn it on: {setting}."


def how_to_turn_on(feature: str) -> str:
    return f"take {feature!r} out of off in [features]"


class FeatureSwitches(msgspec.Struct, frozen=True):
    off: Annotated[
        tuple[str, ...], msgspec.Meta(description='a list of features, as in ["payments", "console"]')
    ] = ()


def read_features_off(reader: Reader, value: object, needs: Needs, *, is_shared: bool) -> tuple[str, ...]:
    """Return the features that are off. `is_shared`: other servers may use the database."""
    section = reader.section(FeatureSwitches, value, "features") or FeatureSwitches()
    for fault in _faults(section.off, needs, is_shared=is_shared):
        reader.fault(KEY, fault)
    return section.off


def _faults(off: tuple[str, ...], needs: Needs, *, is_shared: bool) -> Iterator[str]:
    for name in off:
        if name not in needs:
            yield f"there is no feature {name!r}; {did_you_mean(name, needs)}"
        elif name in _ALWAYS_ON:
            yield f"{name} cannot be off: {_ALWAYS_ON[name]}"
        elif name == _ON_WITH_POSTGRES and is_shared:
            yield f"{name} can be off on SQLite alone: on PostgreSQL, other servers look for this one"
    for name, needed in needs.items():
        missing = [each for each in needed if each in off]
        if missing and name not in off:
            yield f"{name} needs {' and '.join(missing)}: turn {name} off as well"
