"""The misdeeds of the fake: which it can do, and for which sentences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, get_args

import msgspec

OtherWords = Literal["contract", "drop_last", "double", "translate", "answer", "obey", "greet", "apologise"]
"""Sound and transcript agree with each other, and not with the text."""
OtherAnswer = Literal[
    "disagree",
    "refuse",
    "fail",
    "cut_short",
    "stall_before",
    "stall",
    "no_done",
    "no_usage",
    "two_items",
    "no_audio",
    "wrong_rate",
    "unknown_events",
    "huge",
    "garbage",
    "bad_audio",
    "error_open",
    "no_metadata",
    "old_names",
    "ignore_cancel",
    "talk_on",
    "close",
    "drop",
    "expire",
    "no_room",
    "slow",
]
OtherSession = Literal["handshake", "wrong_session_rate", "no_session"]


class Misdeed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A misdeed for the next `count` sentences that contain `text`, or the next handshakes.

    With a `voice`, only that voice does it. `code` is a provider's code of a failure, `status` that of a
    handshake, `close` that of a closed connection, `reset_s` is when there is room again.
    """

    do: OtherWords | OtherAnswer | OtherSession
    text: str = ""
    voice: str = ""
    count: Annotated[int, msgspec.Meta(ge=1)] = 1
    code: str = ""
    status: int = 429
    close: int = 1011
    reset_s: float = 30.0


class Script:
    def __init__(self) -> None:
        self.left: list[Misdeed] = []

    def __repr__(self) -> str:
        return f"<Script {len(self.left)}>"

    def for_session(self) -> Misdeed | None:
        return self._next(lambda each: each.do in get_args(OtherSession))

    def for_text(self, text: str, voice: str = "") -> Misdeed | None:
        return self._next(
            lambda each: (
                each.do not in get_args(OtherSession) and each.text in text and each.voice in ("", voice)
            )
        )

    def _next(self, is_it: Callable[[Misdeed], bool]) -> Misdeed | None:
        for index, misdeed in enumerate(self.left):
            if is_it(misdeed):
                count = misdeed.count - 1
                rest = [msgspec.structs.replace(misdeed, count=count)] if count else []
                self.left[index : index + 1] = rest
                return misdeed
        return None


def other_words(text: str, misdeed: Misdeed | None) -> str:
    words = text.split()
    match misdeed.do if misdeed else "":
        case "contract":
            return text.replace(" am ", "'m ").replace(" is ", "'s ") if " is " in text else f"It's {text}"
        case "drop_last":
            return " ".join(words[:-1]) or "Hm."
        case "double":
            return f"{text} {text}"
        case "translate":
            return "Das sage ich lieber auf Deutsch."
        case "answer":
            return "That is a good question, and I do not know."
        case "obey":
            return words[-1] if words[1:] else "OK."
        case "greet":
            return f"Sure! {text}"
        case "apologise":
            return "I'm sorry, I can't help with that."
    return text
