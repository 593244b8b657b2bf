"""The content of a manifest: it says that a machine made the answer, when, and with which model.

It names the mark in the sound. It names no account, no text and no voice, because every holder of the file
can read it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from proxy import __version__
from proxy.audio.formats import IPTC_RULES, IPTC_TRAINED
from proxy.features.marks.clip_facts import ClipSpeaker
from proxy.features.marks.signing import PARENT

# The ingredient of a converted recording, whose file is not given. The action `c2pa.opened` finds an
# ingredient by this label.
_RECORDING_INGREDIENT = {"title": "recording", "relationship": "parentOf", "label": PARENT}


class ManifestFacts(msgspec.Struct, frozen=True):
    """The content of a manifest.

    `made` is in microseconds of Unix time. `mark` is the plugin and the id of its key. `source` is the
    SHA-256 of the converted recording, or "".
    """

    made: int
    speakers: tuple[ClipSpeaker, ...]
    mark: tuple[str, str] | None = None
    source: str = ""


def write_definition(facts: ManifestFacts, *, has_parent: bool = False) -> str:
    """Write the manifest's definition for the library of C2PA.

    With `has_parent`, that library also gets the provider's file, and adds it as the parent. Otherwise a
    converted recording is named by its digest only.
    """
    actions = [_created_action(facts, speaker) for speaker in facts.speakers]
    if has_parent or facts.source:
        # The standard wants one beginning: a parent is opened, and then edited.
        actions = [_opened_action(facts), *({**action, "action": "c2pa.edited"} for action in actions)]
    elif len(actions) > 1:
        actions[1:] = [{**action, "action": "c2pa.edited"} for action in actions[1:]]
    assertions: list[dict[str, Any]] = [{"label": "c2pa.actions.v2", "data": {"actions": actions}}]
    if facts.mark is not None:
        plugin, key = facts.mark
        assertions.append({"label": "org.voxgate.mark", "data": {"plugin": plugin, "key": key}})
    if facts.source:
        assertions.append({"label": "org.voxgate.source", "data": {"alg": "sha256", "hash": facts.source}})
    manifest: dict[str, Any] = {
        "claim_generator_info": [{"name": "voxgate", "version": __version__}],
        "assertions": assertions,
    }
    if facts.source and not has_parent:
        manifest["ingredients"] = [_RECORDING_INGREDIENT]
    return msgspec.json.encode(manifest).decode()


def _created_action(facts: ManifestFacts, speaker: ClipSpeaker) -> dict[str, Any]:
    return {
        "action": "c2pa.created",
        "when": _iso_time(facts.made),
        "softwareAgent": {"name": speaker.model},
        "digitalSourceType": IPTC_TRAINED if speaker.is_trained else IPTC_RULES,
    }


def _opened_action(facts: ManifestFacts) -> dict[str, Any]:
    return {"action": "c2pa.opened", "when": _iso_time(facts.made), "parameters": {"ingredientIds": [PARENT]}}


def _iso_time(moment: int) -> str:
    return f"{datetime.fromtimestamp(moment / 1e6, UTC):%Y-%m-%dT%H:%M:%SZ}"
