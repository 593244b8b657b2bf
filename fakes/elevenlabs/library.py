"""The routes that list and change the models, the voices and the subscription of the account."""

from __future__ import annotations

import base64
import binascii
from itertools import count
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fakes.elevenlabs import bodies
from fakes.elevenlabs.account import MODELS, Account
from fakes.elevenlabs.forms import demanded
from fakes.elevenlabs.refusing import refuse, refuse_as_before, refuse_fields

_GENDERS = ("female", "male", "neutral")


class Library:
    def __init__(self, account: Account) -> None:
        self._account = account
        self._added = count(1)

    def __repr__(self) -> str:
        return f"<Library of {self._account!r}>"

    def routes(self) -> list[Route]:
        return [
            Route("/v1/models", self._models),
            Route("/v2/voices", self._page),
            Route("/v1/voices", self._all),
            Route("/v1/voices/add", self._add, methods=["POST"]),
            Route("/v1/voices/{voice}", self._one),
            Route("/v1/voices/{voice}", self._delete, methods=["DELETE"]),
            Route("/v1/user/subscription", self._subscription),
        ]

    async def _models(self, _request: Request) -> Response:
        self._account.allow("models_read")
        return JSONResponse(MODELS)

    async def _page(self, request: Request) -> Response:
        """Answer with one page of voices.

        The token names the last voice of a page. If that voice is deleted, the next page stays the same.
        """
        self._account.allow("voices_read")
        size = request.query_params.get("page_size", "10")
        if not size.isdecimal() or not 1 <= int(size) <= 100:
            raise refuse_fields((("page_size",), "must be from 1 to 100"))
        after = _opened(request.query_params.get("next_page_token", ""))
        ids = [voice for voice in self._found(request) if voice > after]
        page = ids[: int(size)]
        has_more = len(ids) > len(page)
        return JSONResponse(
            {
                "voices": [self._voice(voice) for voice in page],
                "has_more": has_more,
                "total_count": len(ids),
                "next_page_token": _closed(page[-1]) if has_more else None,
            }
        )

    def _found(self, request: Request) -> list[str]:
        """Return the ids of the voices for which the request looks, and one default voice in any case."""
        text = request.query_params.get("search", "").lower()
        category = request.query_params.get("category")
        known = [self._voice(voice) for voice in sorted(self._account.voices)]
        default = [each["voice_id"] for each in known if each["category"] == "premade"][:1]
        found = [
            each["voice_id"]
            for each in known
            if text in f"{each['name']} {each['description']} {each['labels']}".lower()
            and category in (None, each["category"])
        ]
        return sorted({*found, *default})

    async def _all(self, _request: Request) -> Response:
        self._account.allow("voices_read")
        return JSONResponse({"voices": [self._voice(voice) for voice in sorted(self._account.voices)]})

    async def _one(self, request: Request) -> Response:
        self._account.know(request.path_params["voice"])
        return JSONResponse(self._voice(request.path_params["voice"]))

    async def _add(self, request: Request) -> Response:
        form = await demanded(request, "name", files="files")
        if (labels := form.fields.get("labels")) is not None:
            bodies.read(dict[str, str], labels, "labels")
        if len(self._account.voices) >= self._account.voice_slots:
            raise refuse_as_before(400, "voice_limit_reached", "You have reached your limit of voices.")
        if self._account.additions >= self._account.most_additions:
            raise refuse_as_before(400, "voice_limit_reached", "You have added or edited too many voices.")
        if any(len(file.data) < 100 for file in form.files):
            raise refuse(400, "invalid_parameters", "A sample is too short.", param="files")
        voice = f"fakeClone{next(self._added):02}"
        self._account.voices[voice] = form.fields["name"]
        self._account.additions += 1
        return JSONResponse({"voice_id": voice, "requires_verification": self._account.wants_verification})

    async def _delete(self, request: Request) -> Response:
        self._account.know(request.path_params["voice"])
        del self._account.voices[request.path_params["voice"]]
        return JSONResponse({"status": "ok"})

    async def _subscription(self, _request: Request) -> Response:
        self._account.allow("user_read")
        return JSONResponse(
            {
                "tier": "creator",
                "character_count": self._account.credit_limit - self._account.credits,
                "character_limit": self._account.credit_limit,
                "can_extend_character_limit": self._account.may_extend,
                "allowed_to_extend_character_limit": self._account.may_extend,
                "next_character_count_reset_unix": 1_800_000_000,
                "voice_slots_used": len(self._account.voices),
                "voice_limit": self._account.voice_slots,
                "voice_add_edit_counter": self._account.additions,
                "max_voice_add_edits": self._account.most_additions,
                "can_use_instant_voice_cloning": True,
                "status": "active",
            }
        )

    def _voice(self, id_: str) -> dict[str, Any]:
        gender = _GENDERS[sum(id_.encode()) % len(_GENDERS)]
        name = self._account.voices[id_]
        category = "cloned" if "Clone" in id_ else "premade"
        labels = {"gender": gender, "age": "middle_aged", "accent": "american", "use_case": "narration"}
        details: dict[str, Any] = {
            "category": category,
            "labels": labels,
            "description": "A calm voice of tones.",
        }
        if category == "cloned":
            details["voice_verification"] = {"requires_verification": self._account.wants_verification}
        return {"voice_id": id_, "name": name, **details}


def _closed(voice: str) -> str:
    return base64.urlsafe_b64encode(voice.encode()).decode()


def _opened(token: str) -> str:
    try:
        return base64.urlsafe_b64decode(token).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise refuse_fields((("next_page_token",), "not one of ours")) from None
