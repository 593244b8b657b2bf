"""Usage as an account and as an administrator see it: requests, sums, CSV and pages."""

from tests.corpus.steps import Topic, account, get, speak

_BY = ("day", "month", "engine", "model", "voice", "language", "key", "account", "outcome", "cache")

_usage = (
    *account("user", "metered"),
    *account("nothing", "metered"),
    speak("first", "One.", step={"key": "user", "save": {}}),
    speak("second", "Two.", model="spare", step={"key": "user"}),
    speak("third fails", "Three.", voice="breaks", step={"key": "user"}),
    speak("fourth", "Four.", response_format="json", cache=True, step={"key": "user"}),
    speak("fourth again", "Four.", response_format="json", cache=True, step={"key": "user"}),
    speak("fifth in two voices", "[Ana] Hi. [Ben] Ho.", voice="pair", model="tone", step={"key": "user"}),
    speak("sixth is refused", "Six.", voice="nobody", step={"key": "user"}),
    speak("seventh is mended", "Seven.", voice="breaks", model="with-spare", step={"key": "user"}),
    get("all of it", "/v1/usage", "user"),
    get("a page", "/v1/usage?limit=2", "user", save={"last": "last_id"}),
    get("the next page", "/v1/usage?limit=2&after={last}", "user", save={"next": "last_id"}),
    get("the last page", "/v1/usage?limit=100&after={next}", "user"),
    *(get(f"sums by {side}", f"/v1/usage?by={side}", "user") for side in _BY),
    get("sums that are cut", "/v1/usage?by=model&limit=1", "user"),
    get("of a day", "/v1/usage?since=2020-01-01&until=2020-01-02", "user"),
    get("since a time", "/v1/usage?since=2020-01-01T12:00:00Z&limit=1", "user"),
    get("CSV", "/v1/usage?format=csv", "user"),
    get("CSV that is cut", "/v1/usage?format=csv&limit=1", "user"),
    get("CSV of sums", "/v1/usage?format=csv&by=outcome", "user"),
    get("CSV of nothing", "/v1/usage?format=csv", "nothing", ignores_body=True),
    get("nothing yet", "/v1/usage", "nothing"),
    get("no sums yet", "/v1/usage?by=day", "nothing"),
    get("a limit of nothing", "/v1/usage?limit=0", "user"),
    get("a limit too high", "/v1/usage?limit=1001", "user"),
    get("a limit of letters", "/v1/usage?limit=ten", "user"),
    get("a page after nothing", "/v1/usage?after=req_0", "user"),
    get("another's page", "/v1/usage?after={last}", "nothing"),
    get("pages of sums", "/v1/usage?by=day&after={last}", "user"),
    get("pages of CSV", "/v1/usage?format=csv&after={last}", "user"),
    get("by what is not there", "/v1/usage?by=colour", "user"),
    get("in another format", "/v1/usage?format=xml", "user"),
    get("since no time", "/v1/usage?since=yesterday", "user"),
    get("an account is not for clients", "/v1/usage?account=nothing&limit=1", "user"),
)

_admin = (
    *account("watched", "metered"),
    speak("one", "One.", step={"key": "watched"}),
    speak("two", "Two.", model="spare", step={"key": "watched"}),
    speak("three fails", "Three.", voice="breaks", step={"key": "watched"}),
    get("of the account", "/admin/usage?account=watched", "admin"),
    get("of the account by its id", "/admin/usage?account={acc_watched}&limit=1", "admin"),
    get("sums of the account", "/admin/usage?account=watched&by=engine", "admin"),
    get("CSV of the account", "/admin/usage?account=watched&format=csv", "admin"),
    get("sums as CSV", "/admin/usage?account=watched&format=csv&by=outcome", "admin"),
    get("of nobody", "/admin/usage?account=nobody", "admin"),
    get("of everybody, the newest", "/admin/usage?limit=1", "admin"),
    get("not for clients", "/admin/usage", "watched"),
    get("asked too often", "/v1/usage?limit=1", "watched", times=61),
)

TOPICS = (Topic("usage", "house", _usage), Topic("admin_usage", "house", _admin))
