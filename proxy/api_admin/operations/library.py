"""What is listed, saved and taken away: voices and lexicons."""

from __future__ import annotations

from proxy.api import lexicons, voices
from proxy.api_admin import lexicons as admin_lexicons
from proxy.api_admin import voices as admin_voices
from proxy.errors import Conflict, InvalidRequest, NotAllowed, NotFound, UnsupportedMediaType
from proxy.http.operation import ACCOUNT, BODY, PAGE, Operation, Query, json

_VOICE_QUERIES = (
    Query("language", "Only voices of this language: `pt` finds `pt-BR` too."),
    Query("gender", "Only voices of this gender."),
    Query(
        "describe", "Only voices that are known to be like this, the best first: `warm older woman, Thai`."
    ),
    Query("format", "`names` gives ids alone.", ("names",)),
)


def _voices(root: str, suffix: str) -> tuple[Operation, ...]:
    return (
        Operation(
            f"list_voices{suffix}",
            f"GET {root}",
            "All voices, the account's own first",
            json(voices.VoiceList, voices.VoiceMatches, voices.VoiceNames),
            "catalogue",
            queries=_VOICE_QUERIES,
            failures=(InvalidRequest,),
        ),
        Operation(
            f"create_voice{suffix}",
            f"POST {root}",
            "Save a cast as a voice of the account's own",
            json(voices.VoiceEntry),
            takes=voices.NewVoice,
            failures=(*BODY, NotAllowed, Conflict, UnsupportedMediaType),
        ),
        Operation(
            f"get_voice{suffix}",
            f"GET {root}/{{id}}",
            "One voice",
            json(voices.VoiceEntry),
            failures=(NotFound,),
        ),
        Operation(
            f"delete_voice{suffix}",
            f"DELETE {root}/{{id}}",
            "Delete a voice of the account's own",
            json(voices.DeletedVoice),
            failures=(NotFound,),
        ),
    )


_LEXICONS = (
    Operation(
        "list_lexicons",
        "GET /v1/lexicons",
        "The account's lexicons, then the operator's, without their words",
        json(lexicons.LexiconList),
    ),
    Operation(
        "get_lexicon",
        "GET /v1/lexicons/{name}",
        "One lexicon with its words",
        json(lexicons.WholeLexicon),
        failures=(NotFound,),
    ),
    Operation(
        "put_lexicon",
        "PUT /v1/lexicons/{name}",
        "Make these the words of the account's lexicon, in the place of those that it had",
        json(lexicons.LexiconEntry),
        takes=lexicons.LexiconBody,
        failures=(*BODY, NotAllowed),
    ),
    Operation(
        "delete_lexicon",
        "DELETE /v1/lexicons/{name}",
        "Delete a lexicon of the account's own",
        json(lexicons.DeletedLexicon),
        failures=(NotFound,),
    ),
)

LIBRARY = (*_voices("/v1/audio/voices", ""), *_voices("/v1/voices", "_by_short_path"), *_LEXICONS)

ADMIN_LIBRARY = (
    Operation(
        "list_saved_voices",
        "GET /admin/voices",
        "Saved voices, the newest first, and those of the configuration",
        json(admin_voices.SavedVoiceList),
        "admin",
        queries=(ACCOUNT, *PAGE),
        failures=(InvalidRequest, NotFound),
    ),
    Operation(
        "save_voice",
        "POST /admin/voices",
        "Save a cast, for an account or for everybody",
        json(admin_voices.SavedVoice),
        "admin",
        status=201,
        takes=admin_voices.NewSavedVoice,
        failures=(*BODY, NotFound, Conflict),
    ),
    Operation(
        "delete_saved_voice",
        "DELETE /admin/voices/{id}",
        "Delete a saved voice by its id, or by its name that of the account or everybody's",
        json(voices.DeletedVoice),
        "admin",
        queries=(ACCOUNT,),
        failures=(NotFound,),
    ),
    Operation(
        "list_lexicons_of",
        "GET /admin/lexicons",
        "The operator's lexicons, after those of the account that is named",
        json(lexicons.LexiconList),
        "admin",
        queries=(ACCOUNT,),
        failures=(NotFound,),
    ),
    Operation(
        "get_lexicon_of",
        "GET /admin/lexicons/{name}",
        "One lexicon with its words",
        json(lexicons.WholeLexicon),
        "admin",
        queries=(ACCOUNT,),
        failures=(NotFound,),
    ),
    Operation(
        "put_lexicon_of",
        "PUT /admin/lexicons/{name}",
        "Make these the words of an account's lexicon",
        json(lexicons.LexiconEntry),
        "admin",
        takes=admin_lexicons.NewLexicon,
        failures=(*BODY, NotAllowed, NotFound, Conflict),
    ),
    Operation(
        "delete_lexicon_of",
        "DELETE /admin/lexicons/{name}",
        "Delete an account's lexicon",
        json(lexicons.DeletedLexicon),
        "admin",
        queries=(ACCOUNT,),
        failures=(InvalidRequest, NotFound),
    ),
)
