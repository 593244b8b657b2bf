"""The page for visitors, as a server writes it: what it says to whom, and that it says nothing untrue."""

import json
import re
from pathlib import Path

import httpx2

from proxy.api.front import LANGUAGES
from proxy.cli.main import _TRIAL_BANNER
from proxy.feature_list import load_config
from proxy.features.front.texts import pages_of
from tests.docs.pages import ROOT
from tests.features.front.rig import SHOP, VOICES, Shop, shop
from tests.features.front.test_logo import GOOD
from tests.fixtures import opened
from tests.proxy.api.inside import TONE, Inside, inside
from tests.tables import each_row

BROWSER = "text/html"
_MAIL = SHOP[SHOP.index("[mail]") : SHOP.index("[payments.plans.creator]")]
_SIGN_UP = _MAIL + '[users]\nsign_up = "%s"\n'
_PUBLIC, _DEV = 'public_url = "https://voices.test"', "dev_key = true"
_LINE = "begins with “Open http”"
_FEW = '[features]\noff = ["jobs", "estimates", "books", "dubs", "marks", "cluster", "conversions"]'


async def page(server: Inside | Shop, path: str = "/", **headers: str) -> str:
    worker = server.worker
    opened = server if isinstance(server, Inside) else Inside(worker, None, "", "")  # type: ignore[arg-type]
    answer = await opened.ask("GET", path, key="", accept=BROWSER, **headers)
    assert answer.status_code == 200
    return str(answer.text)


made = opened(shop, "tmp_path")


async def test_a_shop_says_what_it_costs_and_where_to_begin(made: Shop) -> None:
    html = await page(made)
    assert "<title>Lumen Voices: text to speech</title>" in html
    assert "noindex" not in html
    assert 'property="og:url" content="http://127.0.0.1"' in html
    for said in (
        "Start with 10 free minutes",
        "R$ 49",
        "333 minutes of speech · 20,000 credits",
        "<li>4,800 credits",
        "4 requests at the same time",
        "One saved voice",
        "Long texts of up to 270 pages",
        "R$ 0.15 a minute",
        "<h3>80 minutes</h3>",
        'href="#/sign-in/plan/creator/Creator"',
        'href="#/sign-in/pack/small/80%20minutes"',
        "Paid at Mercado Pago.",
        ">Heart<",
        "Woman, Brazilian Portuguese",
        "High, quick",
        "8 voices in 6 languages.",
    ):
        assert said in html, said
    # Its links come first, and ours last.
    assert re.findall(r">(Terms|Impressum|API)</a>", html) == ["Terms", "Impressum", "API"]
    assert html.count('data-sound="v1/audio/samples/one.wav"') == 3 + 6


async def test_a_robot_is_called_one(made: Shop, tmp_path: Path) -> None:
    assert ">Robot" not in await page(made)
    (tmp_path / "robot").mkdir()
    async with inside(tmp_path / "robot", TONE) as server:
        assert '<p class="quiet small">Robot' in await page(server)
        assert '<p class="quiet small">Robô' in await page(server, **{"accept-language": "pt"})


async def test_the_legal_links_are_at_the_bottom(tmp_path: Path) -> None:
    links = 'privacy = "https://lumen.test/privacy"\nimprint = "https://lumen.test/imprint"\n[mail]'
    async with shop(tmp_path, SHOP.replace("[mail]", links)) as made:
        html = await page(made, **{"accept-language": "es"})
        assert ">Legal notice</a>" in await page(made)
    footer = html[html.index("<footer>") : html.index("</footer>")]
    assert re.findall(r">([^<]+)</a>", footer) == [
        "Condiciones",
        "Privacidad",
        "Aviso legal",
        "Impressum",
        "API",
    ]


async def test_a_limit_of_what_is_off_is_not_told(tmp_path: Path) -> None:
    off = '[features]\noff = ["own_voices", "clones", "jobs", "estimates", "books", "dubs"]'
    async with shop(tmp_path, f"{SHOP}{off}\n") as opened:
        creator = html_of_price(await page(opened), "creator")
    assert "4 requests at the same time" in creator
    assert "saved voice" not in creator
    assert "Long texts" not in creator


async def test_limits_are_told_in_the_language_of_the_reader(made: Shop) -> None:
    spanish = await page(made, **{"accept-language": "es"})
    for said in ("333 minutos de voz · 20.000 créditos", "4 solicitudes a la vez", "hasta 270 páginas"):
        assert said in spanish, said
    # What is limited by nothing has no line, and a pack has no limits.
    assert html_of_price(spanish, "creator").count("<li>") == 6
    assert html_of_price(spanish, "small").count("<li>") == 3


def html_of_price(html: str, name: str) -> str:
    """The lines of one offer."""
    (card,) = [each for each in html.split('class="card stack price"') if f"/{name}/" in each]
    return card[card.index("<ul") : card.index("</ul>")]


async def test_prices_are_those_of_the_api(made: Shop) -> None:
    opened = Inside(made.worker, None, "", "")  # type: ignore[arg-type]  # nobody asks with a key
    offers = (await opened.ask("GET", "/v1/plans", key="")).json()["data"]
    assert [(each["name"], each["amount"], each["minutes"]["number"]) for each in offers] == [
        ("creator", "49.00", 333.33),
        ("small", "29.90", 80.0),
    ]


async def test_a_visit_causes_no_speech_and_a_page_is_made_once(made: Shop) -> None:
    first = await page(made)
    for number in range(1000):
        # Each comes from another network.
        client = (f"{number // 250 + 20}.{number % 250}.0.1", 1)
        transport = httpx2.ASGITransport(app=made.worker.public, client=client)
        async with httpx2.AsyncClient(transport=transport, base_url="http://voxgate.test") as visitor:
            html = (await visitor.get(f"/?number={number}", headers={"accept": BROWSER})).text
        assert html == first
    assert made.studio.jobs == []
    # What is not made yet has no button.
    made.samples.missing, made.samples.has_front = ("af_heart",), False
    html = await page(made)
    assert html.count("data-sound=") == 5
    assert "Press play:" not in html
    assert "Press play at a voice below" in html
    # Nothing can be heard: it says whether that changes.
    names = [name for name, _, _ in VOICES]
    made.samples.missing, made.samples.soon = names, names[:1]
    assert "Samples are being made." in await page(made)
    made.samples.soon = ()
    assert "This server makes no samples." in await page(made)
    assert {*made.samples.shown()} >= {"studio/af_heart", "studio/pf_dora"}


@each_row(
    ("server_line", "sections", "host", "said", "unsaid"),
    [
        (
            _PUBLIC,
            _SIGN_UP % "open",
            "9.9.9.9",
            ["Start", "#/sign-in", "mail address"],
            ["noindex", "key-form"],
        ),
        (_PUBLIC, _SIGN_UP % "invite", "9.9.9.9", ["By invitation", ">Sign in<", "noindex"], ["key-form"]),
        ("", "", "9.9.9.9", ["You need a key", "I have a key", "key-form", "noindex"], ["#/sign-in"]),
        (_DEV, "", "127.0.0.1", ["This is your own server", _LINE, "key-form"], ["You need a key"]),
        (_DEV, "", "::1", ["This is your own server"], ["You need a key"]),
        (_DEV, "", "9.9.9.9", ["You need a key"], ["your own server"]),
        (_DEV, "", "proxy", ["You need a key"], ["your own server"]),
        ("", "", "127.0.0.1", ["You need a key"], ["your own server"]),
    ],
)
async def test_each_kind_of_server_says_where_one_begins(
    server_line: str, sections: str, host: str, said: list[str], unsaid: list[str], tmp_path: Path
) -> None:
    text = TONE.replace("[server]\n", f"[server]\n{server_line}\n", 1) + sections
    async with inside(tmp_path, text) as server:
        headers = [(b"accept", b"text/html"), (b"host", b"voxgate.test")]
        if host == "proxy":
            headers.append((b"x-forwarded-for", b"9.9.9.9"))
        client = "127.0.0.1" if host == "proxy" else host
        sent: list[bytes] = []
        scope: dict[str, object] = {
            "type": "http",
            "method": "GET",
            "path": "/",
            "raw_path": b"/",
            "query_string": b"",
        }
        scope |= {"headers": headers, "client": (client, 1), "scheme": "http", "server": ("voxgate.test", 80)}
        scope |= {"query_string": b"", "root_path": "", "http_version": "1.1", "extensions": {}}

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, object]) -> None:
            if body := message.get("body"):
                assert isinstance(body, bytes)
                sent.append(body)

        await server.worker.public(scope, receive, send)  # type: ignore[arg-type]  # plain messages
        html = b"".join(sent).decode()
        front = html[html.index('<div class="front">') :]
        assert [each for each in said if each not in html] == []
        assert [each for each in unsaid if each in front] == []


@each_row(
    ("config", "said", "unsaid"),
    [
        ("", ["Long texts", "Dialogue", "OpenAI", "Honest"], []),
        (
            '[features]\noff = ["jobs", "estimates", "books", "dubs", "marks", "cluster", "conversions"]',
            ["Dialogue"],
            ["Long texts"],
        ),
        ('[marking]\nmark = ""', ["Dialogue"], ["Honest", "Marked as AI-made"]),
        ("[plans.free]\nvoices = 0\njob_characters = 0", ["Dialogue"], ["Long texts", "Your own voice"]),
        ("[plans.free]\nmarking = false", ["Dialogue"], ["Honest"]),
    ],
)
async def test_what_it_can_do_is_said_only_if_it_is_true(
    config: str, said: list[str], unsaid: list[str], tmp_path: Path
) -> None:
    async with inside(tmp_path, f"{TONE}\n{config}\n") as server:
        html = await page(server)
    assert [each for each in said if each not in html] == []
    assert [each for each in unsaid if each in html] == []


@each_row("language", LANGUAGES)
def test_the_console_has_the_same_words_for_money_and_minutes(language: str) -> None:
    front, console = (
        json.loads((ROOT / f"proxy/features/{folder}/{language}.json").read_text())
        for folder in ("front/texts", "console/web/texts")
    )
    minutes, pages = console["minutes.exact.other"], console["limit.n.job_characters.other"]
    assert [front["minutes"], front["limit.job_characters"]] == [minutes.replace("{n}", "{m}"), pages]
    for key in ("month", "once", "stays"):
        assert front[key] == console[f"account.{key}"]
    assert front["usd"] == console["money.usd"]


@each_row(("characters", "pages"), [(1, 1), (3599, 1), (20_000, 11), (179_999, 99), (500_000, 270)])
def test_characters_are_pages(characters: int, pages: int) -> None:
    assert pages_of(characters) == pages


def test_the_line_that_is_named_is_printed() -> None:
    printed = _TRIAL_BANNER.format(base="http://127.0.0.1:8000", key="sk-vg-1").splitlines()
    assert [line for line in printed if line.startswith("Open http") and "#key=" in line]


async def test_texts_are_texts_in_every_key(tmp_path: Path) -> None:
    evil = '<img src=x onerror=\\"alert(1)\\">&'
    front = f"""
[front]
name = "{evil}"
lead = {{ en = "{evil}{"w" * 120}" }}
links = [{{ title = "{evil}", url = "https://a.test/?a=1&b=<" }}]
voices = ["{evil}", "tone/tone"]
""".replace("&b=<", "&b=2")
    async with inside(tmp_path, f"{TONE}{front}") as server:
        html = await page(server)
        assert "<img src=x" not in html
        assert html.count("&lt;img src=x onerror=&quot;alert(1)&quot;&gt;&amp;") >= 5
        assert 'href="https://a.test/?a=1&amp;b=2"' in html
        # The lead of another language is ours.
        assert "Para vídeos" in await page(server, **{"accept-language": "pt"})


@each_row(
    ("path", "accepted", "language"),
    [
        ("/", "", "en"),
        ("/", "th, en;q=0.5", "th"),
        ("/", "de, pt-PT;q=0.9, es;q=0.8", "pt-BR"),
        ("/", "en;q=0.1, es", "es"),
        ("/?lang=th", "es", "th"),
        ("/?lang=toString", "es", "es"),
        ("/?lang=<script>", "*;q=x,,;;q=9" * 99, "en"),
    ],
)
async def test_the_page_is_in_the_language_of_its_reader(
    path: str, accepted: str, language: str, tmp_path: Path
) -> None:
    async with inside(tmp_path) as server:
        html = await page(server, path, **{"accept-language": accepted})
        assert f'<html lang="{language}" class="has-front">' in html


async def test_a_reload_changes_the_look_without_a_restart(tmp_path: Path) -> None:
    async with inside(tmp_path) as server:
        assert "<title>voxgate: text to speech</title>" in await page(server)
        (tmp_path / "logo.png").write_bytes(GOOD)
        file = tmp_path / "config.toml"
        file.write_text(f'{TONE}[front]\nname = "Lumen"\nlogo = "logo.png"\ncolour = "#0050a0"\n')
        server.worker.revise(load_config(file, {}))
        html = await page(server)
        assert "<title>Lumen: text to speech</title>" in html
        assert 'content="Lumen"' in html
        sheet, logo = re.findall(r'(?:href)="(front/[^"]+)"', html)
        assert 'rel="icon" href="data:' not in html
        for path, media in ((sheet, "text/css; charset=utf-8"), (logo, "image/png")):
            answer = await server.ask("GET", f"/{path}", key="")
            assert answer.headers["content-type"] == media
            assert (
                answer.headers["content-security-policy"]
                == "sandbox; default-src 'none'; style-src 'unsafe-inline'"
            )
            assert "immutable" in answer.headers["cache-control"]
            assert answer.headers["x-content-type-options"] == "nosniff"
        for path in ("front/logo.png", "front/..%2Fconfig.toml", f"front/{'a' * 5000}", "front/"):
            assert (await server.ask("GET", f"/{path}", key="")).status_code in (401, 404), path


async def test_without_the_front_there_is_the_sign_in_alone(tmp_path: Path) -> None:
    async with inside(tmp_path, f'{TONE}[features]\noff = ["front"]\n') as server:
        html = await page(server)
        assert "has-front" not in html
        assert 'class="front"' not in html
        assert "noindex" in html
        assert (await server.ask("GET", "/front/a.css", key=server.admin_key)).status_code == 404
