"""Lexicons, an account's own, and both libraries as an administrator sees them."""

from tests.corpus.steps import Step, Topic, account, delete, get, post, put, speak

_WORDS = {"nginx": "engine x", "SQL": "es queue el"}

_lexicons = (
    *account("speller", "metered"),
    get("only the operator's", "/v1/lexicons", "speller"),
    get("the operator's", "/v1/lexicons/brands", "speller"),
    put("makes one", "/v1/lexicons/en", {"words": _WORDS}, "speller"),
    put("changes it", "/v1/lexicons/en", {"words": {**_WORDS, "5G": "five gee"}}, "speller"),
    put("with another case", "/v1/lexicons/EN-us", {"words": {"colour": "color"}}, "speller"),
    put("by a name", "/v1/lexicons/house-names", {"words": {"ada": "aida"}}, "speller"),
    get("lists them", "/v1/lexicons", "speller"),
    get("shows one", "/v1/lexicons/en", "speller"),
    speak("is heard by itself", "Nginx has SQL and 5G.", model="tone", step={"key": "speller"}),
    speak("another's is not heard", "Nginx has SQL and voxgate.", model="tone"),
    speak("is named", "Ada likes nginx.", lexicon="house-names", model="tone", step={"key": "speller"}),
    speak("the operator's is named", "SQLite has SQL.", lexicon="brands", model="tone"),
    speak("entries of the request", "Ada likes nginx.", lexicon={"ada": "Eve"}, model="tone"),
    speak("an entry stands for itself", "5G is 5G.", lexicon={"5G": "5G"}, model="tone"),
    speak("IPA is for who can", "The logos.", lexicon={"logos": "/ˈlɒɡɒs/"}, model="tone"),
    speak("none of them", "Nginx has SQL.", lexicon="none", model="tone", step={"key": "speller"}),
    speak(
        "words point into the text",
        "Nginx has SQL.",
        model="tone",
        response_format="json",
        step={"key": "speller"},
    ),
    put("no words", "/v1/lexicons/x", {}, "speller"),
    put("words of the wrong type", "/v1/lexicons/x", {"words": ["a"]}, "speller"),
    put("an empty word", "/v1/lexicons/x", {"words": {" ": "a"}}, "speller"),
    put("a word too long", "/v1/lexicons/x", {"words": {"a" * 101: "a"}}, "speller"),
    put("a saying too long", "/v1/lexicons/x", {"words": {"a": "b" * 201}}, "speller"),
    put("too many words", "/v1/lexicons/x", {"words": {f"w{n}": "x" for n in range(1001)}}, "speller"),
    put("a name with a blank", "/v1/lexicons/a%20b", {"words": {"a": "b"}}, "speller"),
    put("a name that means none", "/v1/lexicons/none", {"words": {"a": "b"}}, "speller"),
    Step("no JSON", "PUT", "/v1/lexicons/x", "speller", raw="{"),
    delete("deletes it", "/v1/lexicons/en", "speller"),
    delete("deletes it twice", "/v1/lexicons/en", "speller"),
    delete("the operator's cannot be deleted", "/v1/lexicons/brands", "speller"),
    get("it is gone", "/v1/lexicons/fr", "speller"),
    get("the operator's is back", "/v1/lexicons/en", "speller"),
    post("lexicons are not posted", "/v1/lexicons", {}, "speller"),
)

_PAIR = {"Ana": "nova", "Ben": "onyx"}

_of_accounts = (
    *account("reader", "metered"),
    post(
        "saves for everybody",
        "/admin/voices",
        {"name": "for-all", "cast": _PAIR, "tags": ["two"]},
        "admin",
        save={"for_all": "id"},
    ),
    post(
        "saves for an account",
        "/admin/voices",
        {"name": "for-one", "cast": _PAIR, "account": "reader"},
        "admin",
        save={"for_one": "id"},
    ),
    post("a name is taken", "/admin/voices", {"name": "for-all", "cast": _PAIR}, "admin"),
    post("saves for nobody", "/admin/voices", {"name": "x", "cast": _PAIR, "account": "nobody"}, "admin"),
    post("without a cast", "/admin/voices", {"name": "x"}, "admin"),
    get("of the account", "/admin/voices?account=reader", "admin"),
    get("of no account at all", "/admin/voices?account=nobody", "admin"),
    speak("everybody speaks with it", "[Ana] Hi. [Ben] Ho.", voice="for-all", model="tone"),
    speak("the account speaks with it", "[Ben] Ho.", voice="for-one", model="tone", step={"key": "reader"}),
    get("the account lists it", "/v1/voices/for-one", "reader"),
    delete("the account's, by a name of everybody's", "/admin/voices/for-one", "admin"),
    delete("the account's", "/admin/voices/for-one?account=reader", "admin"),
    delete("everybody's, by its id", "/admin/voices/{for_all}", "admin"),
    delete("one of the configuration", "/admin/voices/alloy", "admin"),
    put("an account's words", "/admin/lexicons/en", {"account": "reader", "words": {"a": "b"}}, "admin"),
    put("words of no account", "/admin/lexicons/en", {"words": {"a": "b"}}, "admin"),
    put(
        "words of an account that is not there", "/admin/lexicons/en", {"account": "x", "words": {}}, "admin"
    ),
    get("lexicons of the configuration", "/admin/lexicons", "admin"),
    get("lexicons of the account", "/admin/lexicons?account=reader", "admin"),
    get("one of the account", "/admin/lexicons/en?account=reader", "admin"),
    get("a lexicon of the configuration", "/admin/lexicons/en", "admin"),
    get("no such lexicon", "/admin/lexicons/fr", "admin"),
    delete("a lexicon without an account", "/admin/lexicons/en", "admin"),
    delete("the account's lexicon", "/admin/lexicons/en?account=reader", "admin"),
    delete("the account's lexicon twice", "/admin/lexicons/en?account=reader", "admin"),
    get("all of it is in the audit", "/admin/audit?account=reader", "admin"),
)

TOPICS = (Topic("lexicons", "house", _lexicons), Topic("admin_library", "house", _of_accounts))
