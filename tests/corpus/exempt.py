"""What may differ between two runs, each with its reason: everything else in an answer is compared."""

import re
from collections.abc import Mapping
from typing import Any

import proxy

HEADERS: dict[str, str] = {
    "date": "is the time",
    "x-request-id": "is an id",
    "openai-processing-ms": "depends on how fast the machine is",
    "x-ratelimit-reset-requests": "depends on how long ago the earlier requests were",
    "content-length": "counts the digits of ids and times, and the bytes of lossy codecs",
}
"""Headers that must be there, whatever they say."""

HEADERS_NEW = frozenset({"x-content-type-options"})
"""Headers that came after the recordings. A test of the edge has them."""

RETRY_AFTER = "retry-after"
"""Compared on all but a 429, where the wait depends on how long ago the earlier requests were."""

TEXTS = frozenset({"message", "reason", "reasons", "note", "notes"})
"""Fields for people: their words may change, so only that there are some is compared. The `reason` of a
movement of credits is what the operator wrote, and is compared."""

TIMES = frozenset(
    {"created", "created_at", "changed_at", "closed", "anchor", "started", "at", "expires", "revoked"}
    | {"last_used", "first_byte_ms", "hint"}
)
"""Fields that are times, or that depend on them, and the end of a secret."""

COUNTS = frozenset({"accounts", "running", "waiting", "waiting_s", "memory_gb", "processor_seconds"})
"""Fields that count what all topics of a server made together, or what is under way just then."""

GONE = frozenset({"one_shot"})
"""Fields that nothing enforces: they are going to leave the answers."""

NEW = frozenset(
    {
        "chapter_title",
        "converting",
        "converts",
        "files",
        "job",
        "job_characters",
        "trained",
        "trains",
        "post",
        "sign_in",
        "spoken_languages",
        "terms",
        "privacy",
        "voxgate_job_steps_total",
        "voxgate_trainings_total",
        "voxgate_runs_total",
        "voxgate_run_usd_total",
        "voxgate_runs_open",
    }
)
"""Fields that came after the recordings."""

PRICES_GONE = frozenset({"conversion", "training"})
"""The same, inside of `prices`."""

ME_GONE = frozenset({"prices"})
"""The same, in what an account asks of itself."""

UNSTEADY = frozenset(
    {
        "duration_seconds",
        "seconds",
        "output_tokens",
        "total_tokens",
        "start_seconds",
        "audio_ms",
        "loudness_db",
    }
)
"""Fields that depend on how long espeak spoke: the same words differ by some samples from time to time."""

_PATTERNS = (
    (re.compile(r"sk-vg-[0-9A-Za-z]{38}"), "<secret>"),
    (re.compile(r"\b(acc|key|ent|aud|voice)_[0-9a-f]{24}\b"), r"<\1>"),
    (re.compile(r"\breq_[0-9a-f]{24}\b"), "<req>"),
    (re.compile(r"\bkey=[0-9a-f]{8}\b"), "key=<key>"),
    (re.compile(r"<req>-[0-9a-f]{32}\b"), "<req>-<proof>"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)"), "<time>"),
    (re.compile(r"^20\d\d-\d\d-\d\d$"), "<day>"),
    (re.compile(r"^20\d\d-\d\d$"), "<month>"),
    (re.compile(r"^/\S*/config\.toml$"), "<config>"),
    (re.compile(rf"^{re.escape(proxy.__version__)}$"), "<version>"),
    (re.compile(r"http://127\.0\.0\.1:\d+"), "<url>"),
    (re.compile(r"\b127\.0\.0\.1:\d+"), "<address>"),
)


def plain(value: Any, known: Mapping[str, str], field: str = "") -> Any:
    """The value with names, or kinds, in place of what may differ. `known` maps saved values to names."""
    if isinstance(value, Mapping):
        gone = GONE | NEW | (PRICES_GONE if field == "prices" else frozenset())
        gone |= ME_GONE if "clones_used" in value else frozenset()
        kept = {key: entry for key, entry in value.items() if key not in gone}
        own = "reason" if "credits" in value else ""
        return {
            text(key, known): plain(entry, known, "" if key == own else key) for key, entry in kept.items()
        }
    if field in TEXTS and value:
        return "<text>"
    if isinstance(value, list):
        return [plain(entry, known, field) for entry in value]
    if field in TIMES and isinstance(value, (int, float, str)) and not isinstance(value, bool):
        return "<there>"
    if field in COUNTS and isinstance(value, (int, float)):
        return "<there>"
    return text(value, known) if isinstance(value, str) else value


def unsteady(value: Any) -> Any:
    """The value without what differs each time that espeak speaks."""
    if isinstance(value, Mapping):
        return {key: "<there>" if key in UNSTEADY else unsteady(entry) for key, entry in value.items()}
    return [unsteady(entry) for entry in value] if isinstance(value, list) else value


def text(value: str, known: Mapping[str, str]) -> str:
    for secret, name in known.items():
        value = value.replace(secret, f"{{{name}}}")
    for pattern, kind in _PATTERNS:
        value = pattern.sub(kind, value)
    return value


def headers(status: int, pairs: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str]:
    """All headers of an answer, by name; those that are exempt say only that they are there."""
    exempt = {*HEADERS, RETRY_AFTER} if status == 429 else set(HEADERS)
    return {
        name: "<there>" if name in exempt else text(value, known)
        for name, value in sorted(pairs.items())
        if name not in HEADERS_NEW
    }
