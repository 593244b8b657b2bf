"""GET /v1 and / tell, without a key, whether people sign in, and how."""

from pathlib import Path
from urllib.parse import urljoin

from proxy.feature_list import load_config
from tests.features.users.people import PEOPLE
from tests.features.users.rig import ORIGIN, config, json_of
from tests.proxy.api.inside import TONE, inside
from tests.tables import each_row

_WITHOUT_MAIL = TONE.replace("[server]", f'[server]\npublic_url = "{ORIGIN}"') + PEOPLE


@each_row(
    "text, expected",
    [
        (TONE, "closed"),
        (config("closed"), "closed"),
        (_WITHOUT_MAIL, "invitation"),
        (config("invite"), "mail"),
        (config("open"), "mail"),
    ],
)
async def test_the_welcome_tells_how_people_sign_in(tmp_path: Path, text: str, expected: str) -> None:
    async with inside(tmp_path, text) as server:
        answers = [json_of(await server.ask("GET", path, key="")) for path in ("/v1", "/")]
        assert [answer["sign_in"] for answer in answers] == [expected] * 2
        asked = await server.ask("POST", "/v1/sign-ins", key="", body={"address": "ada@example.org"})
        assert (asked.status_code == 202) == (expected == "mail")


async def test_the_links_to_terms_are_told_if_they_are_set(tmp_path: Path) -> None:
    links = {"terms": "https://voxgate.test/terms?a=1&b=2", "privacy": "https://voxgate.test/privacy"}
    text = config()
    for name, link in links.items():
        text = text.replace("[users]\n", f'[users]\n{name} = "{link}"\n', 1)
    async with inside(tmp_path, text) as server:
        told = json_of(await server.ask("GET", "/v1", key=""))
        assert {name: told[name] for name in links} == links
        (tmp_path / "config.toml").write_text(config())
        server.worker.revise(load_config(tmp_path / "config.toml", {}))
        told = json_of(await server.ask("GET", "/v1", key=""))
        assert {told[name] for name in links} == {""}


@each_row("path", ["/sign-in", "/sign-in/", "/sign-in?a=1"])
async def test_an_old_link_leads_to_the_console_above_it(tmp_path: Path, path: str) -> None:
    async with inside(tmp_path, config()) as server:
        answer = await server.ask("GET", path, key="")
        place = urljoin(f"https://proxy.test/voice{path}#sign_in=sin_1.x", answer.headers["location"])
        assert (answer.status_code, place) == (303, "https://proxy.test/voice/")
        assert "#" not in answer.headers["location"], "so the browser carries that of the link over"


async def test_a_reload_changes_it(tmp_path: Path) -> None:
    async with inside(tmp_path, config("open")) as server:
        closed = config("closed")
        (tmp_path / "config.toml").write_text(closed)
        server.worker.revise(load_config(tmp_path / "config.toml", {}))
        assert json_of(await server.ask("GET", "/v1", key=""))["sign_in"] == "closed"
