"""What `voxgate check` finds in a shop: each rule with a configuration that just meets and just misses it."""

import re
import subprocess
from pathlib import Path

import pytest

from proxy.diagnosis.config_check import check_config
from proxy.engines import registry
from proxy.feature_list import load_config
from proxy.features.models.feature import FEATURE
from tests.commands import run
from tests.docs import pages
from tests.proxy.config.files import load
from tests.tables import each_row

_SHOP = (pages.ROOT / "proxy/features/payments/shop.toml").read_text()
_SECRETS = dict.fromkeys(re.findall(r'"env:(\w+)"', _SHOP), "x") | {"SMTP_URL": "smtp://127.0.0.1"}
_BEFORE = """
[server]
public_url = "https://voice.example.org"

[plans.free]
allowance = 500

[plans.creator]
price = "R$ 49"
allowance = 20000

[payments]
lapsed_plan = "free"

[payments.plans.creator]
amount = "49.00"
currency = "BRL"
providers = ["mercadopago", "stripe"]
features = ["Own voices", "20000 credits a month"]

[payments.packs.small]
credits = 500
amount = "29.90"
currency = "BRL"
providers = ["mercadopago", "stripe"]

[payments.mercadopago]
access_token = "env:MERCADOPAGO_TOKEN"
webhook_secret = "env:MERCADOPAGO_SECRET"
seller = "446566691"

[payments.stripe]
secret_key = "env:STRIPE_KEY"
webhook_secret = "env:STRIPE_SECRET"
"""
"""The sample of the documents before: it sold credits, and speech cost none."""
_PAID = 'speech = { credits = 1, per = "minute" }'
_FREE = 'speech = { credits = 0, per = "minute" }'
_HUMS = '[engines.tone]\n[engines.espeak]\n[models]\nhum = ["tone/standard"]\n[payments]'
_LINKS = [
    (f'{name} = ""', f'{name} = "https://voice.example.org/{name}"')
    for name in ("terms", "privacy", "imprint")
]
_FREE_PLAN, _CREATOR = "[plans.free.prices]\n", "[plans.creator.prices]\n"


def _found(folder: Path, text: str) -> dict[str, list[str]]:
    """What is found about sales and sign-ups, by verdict: a name, what was found, and what to do."""
    config = load(folder, text, **_SECRETS)
    found: dict[str, list[str]] = {"wrong": [], "note": []}
    for each in check_config(config, registry.load()):
        if each.what in ("payments", "sign-up") and each.verdict in found:
            found[each.verdict].append(f"{each.name}: {each.found} → {each.do}")
    return found


def _changed(*changes: tuple[str, str]) -> str:
    text = _SHOP
    for old, new in (*_LINKS, *changes):
        assert old in text, old
        text = text.replace(old, new)
    return text


def _allowance(plan: str, line: str) -> tuple[str, str]:
    (written,) = re.findall(rf"\[plans\.{plan}\].*?(allowance = \d+\s)", _SHOP, re.DOTALL)
    return (written, line + written[-1])


_BARE_FREE = ("rpm = 10 ", "#"), ("streams = 1 ", "#")
_FREE_IN_BOTH = (_PAID, _FREE)


@each_row(
    ("changes", "verdict", "said"),
    [
        # A sold plan with an allowance, and no model with a price.
        ((_FREE_IN_BOTH,), "wrong", "creator: a month of it is sold, and its speech is free"),
        (((_CREATOR + _PAID, _CREATOR + _FREE),), "wrong", "the allowance limits nothing → write speech ="),
        (
            (
                (
                    _CREATOR + _PAID,
                    _CREATOR + _FREE + '\nmodels = { "espeak/standard" = { credits = 1, per = "second" } }',
                ),
            ),
            "",
            "",
        ),
        (
            (
                (
                    _CREATOR + _PAID,
                    _CREATOR + _PAID + '\nmodels = { "espeak/standard" = { credits = 0, per = "second" } }',
                ),
            ),
            "wrong",
            "the allowance limits nothing",
        ),
        # A flat rate.
        ((_allowance("creator", "#"),), "note", "creator: a month of it is a flat rate"),
        ((_allowance("creator", "#"), ("streams = 4", "")), "wrong", "no streams → write streams in"),
        # A pack where speech is free.
        ((_FREE_IN_BOTH,), "wrong", "small: it is sold, and speech is free on free and creator"),
        (
            ((_FREE_PLAN + _PAID, _FREE_PLAN + _FREE),),
            "wrong",
            "small: it is sold, and speech is free on free:",
        ),
        (
            ((_CREATOR + _PAID, _CREATOR + _FREE), _allowance("creator", "#")),
            "note",
            "creator: a month of it is a flat rate",
        ),
        (
            (
                (
                    "[payments]",
                    '[engines.tone]\n[engines.espeak]\n[models]\nhum = ["tone/standard"]\n[payments]',
                ),
                (
                    _FREE_PLAN + _PAID,
                    _FREE_PLAN + _PAID + '\nmodels = { "tone" = { credits = 0, per = "job" } }',
                ),
            ),
            "note",
            "free: tone/standard: free beside models with a price",
        ),
        # Who can buy.
        ((('sign_up = "open"', 'sign_up = "closed"'),), "wrong", "nobody can sign in to buy it"),
        ((('sign_up = "open"', 'sign_up = "invite"'),), "", ""),
        (
            (_allowance("creator", "allowance = 0"),),
            "wrong",
            "creator: a month of it is sold, and its allowance is 0",
        ),
        (
            (("[payments.stripe]\n", '[payments.stripe]\nbase_url = "http://127.0.0.1:8011"\n'),),
            "wrong",
            "stripe: http://127.0.0.1:8011 is a fake on this machine",
        ),
        (
            (
                ("[payments.stripe]\n", '[payments.stripe]\nbase_url = "http://127.0.0.1:8011"\n'),
                ("https://voice.example.org", "http://127.0.0.1:8000"),
            ),
            "",
            "",
        ),
        # What everybody can have.
        (_BARE_FREE, "wrong", "the plan free has no rpm, streams → write rpm = 10 and streams = 1 in"),
        ((_allowance("free", "#"),), "wrong", "the plan free has no allowance"),
        (
            (("clones = 0 ", "#"), ("[payments]", "[engines.elevenlabs]\n[engines.espeak]\n[payments]")),
            "wrong",
            "the plan free has no clones",
        ),
        ((("clones = 0 ", "#"),), "", ""),
        ((("voices = 5 ", "#"),), "note", "the plan free has no voices"),
        ((("job_characters = 20000", ""),), "note", "the plan free has no job_characters"),
        (
            (
                ('lapsed_plan = "free" ', 'lapsed_plan = "after" '),
                ("[payments]\n", f"[plans.after]\nstreams = 1\n[plans.after.prices]\n{_PAID}\n[payments]\n"),
            ),
            "wrong",
            "the plan after has no rpm, allowance",
        ),
        # What is odd.
        (
            (('price = "R$ 49"', 'price = "R$ 59"'),),
            "note",
            "the price 'R$ 59' is shown, and 49.00 BRL is taken",
        ),
        ((('price = "R$ 49"', 'price = "R$ 49,00"'),), "", ""),
        ((('price = "R$ 49"', 'price = "ask us"'),), "", ""),
        ((('amount = "29.90"', 'amount = "49.01"'),), "note", "small: a minute costs 0.10 BRL, and 0.05"),
        ((('amount = "29.90"', 'amount = "49.00"'),), "", ""),
        (
            (_LINKS[1][::-1], _LINKS[2][::-1]),
            "note",
            "no link to privacy, imprint → write privacy and imprint in",
        ),
        ((), "", ""),
    ],
)
def test_each_rule_is_met_and_just_missed(
    tmp_path: Path, changes: tuple[tuple[str, str], ...], verdict: str, said: str
) -> None:
    found = _found(tmp_path, _changed(*changes))
    if not verdict:
        assert found == {"wrong": [], "note": []}
        return
    assert any(said in line for line in found[verdict]), found
    if verdict == "note":
        assert found["wrong"] == []


def test_the_sample_of_before_gets_three_lines_that_say_what_to_write(tmp_path: Path) -> None:
    found = _found(tmp_path, _BEFORE)
    assert len(found["wrong"]) == 3
    assert [line.partition(" → write ")[2][:12] for line in found["wrong"]] == [
        *('sign_up = "o', "speech = { c", "speech = { c"),
    ]
    done = run("check", "--config", str(tmp_path / "config.toml"), environ=_SECRETS)
    assert done.returncode == 1


def test_open_for_all_and_for_free_is_noted(tmp_path: Path) -> None:
    users = _SHOP.partition("# A credit is")[0]
    found = _found(tmp_path, users + "[plans.free]\nrpm = 1\nstreams = 1\n")
    assert found["wrong"] == []
    assert any("speak for free, on the plan free, and nothing is sold" in line for line in found["note"])


@pytest.mark.parametrize("url", ["", "https://speech.example/voices"])
def test_a_shop_is_written_and_right(tmp_path: Path, url: str) -> None:
    options = (*(("--public-url", url) if url else ()), "--voices", "plain")
    done = run("init", "shop", *options, environ=_SECRETS, folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    written = (tmp_path / "config.toml").read_text()
    assert written == (_SHOP.replace("https://voice.example.org", url) if url else _SHOP)
    again = run("init", "shop", "--voices", "plain", environ=_SECRETS, folder=tmp_path)
    assert (again.returncode, b"is there already" in again.stderr) == (1, True)
    assert (tmp_path / "config.toml").read_text() == written


@each_row(
    "url",
    ["", "voice.example.org", "http://voice.example.org", 'https://x"\n[y]', "https://x y", "https://u@x"],
)
def test_no_shop_is_written_for_what_is_no_address(tmp_path: Path, url: str) -> None:
    done = run("init", "shop", "--public-url", url, environ=_SECRETS, folder=tmp_path)
    assert done.returncode == 1
    assert b"public" in done.stderr
    assert [*tmp_path.iterdir()] == []


@each_row(
    ("option", "rest", "commands"),
    [
        ((), b"41 voices follow.", [("--at-start",), ()]),
        # The first voice did not come, or a server that runs has its own.
        ((), b"", [("--at-start",)]),
        (("--voices", "plain"), b"", []),
    ],
)
def test_a_shop_has_natural_voices(
    option: tuple[str, ...],
    rest: bytes,
    commands: list[tuple[str, ...]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fetched: list[tuple[str, ...]] = []

    def fetch(command: tuple[str, ...], **_options: object) -> subprocess.CompletedProcess[bytes]:
        assert (tmp_path / "config.toml").exists(), "its data folder may be another one"
        load_config(tmp_path / "config.toml", {})  # without the secrets, which a seller may write later
        fetched.append(command)
        return subprocess.CompletedProcess(command, 0, rest)

    monkeypatch.setattr("proxy.cli.init.subprocess.run", fetch)
    done = run("init", "shop", *option, environ=_SECRETS, folder=tmp_path)
    assert done.returncode == 0
    assert (tmp_path / "config.toml").read_text() == _SHOP
    assert [each[-1:] if "--at-start" in each else () for each in fetched] == commands
    assert all(each[3:7] == ("voices", "natural", "--config", "config.toml") for each in fetched)
    # Nothing was fetched here.
    assert b"speech is a robot's" in done.stdout


@each_row(
    ("text", "is_robot"),
    [("", True), ("[engines.tone]\n", False), ("[engines.espeak]\n[engines.tone]\n", False)],
)
def test_a_robot_alone_is_noted(text: str, is_robot: bool, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(text)
    config = load(tmp_path, text)
    checked = [each.found for each in check_config(config, registry.load()) if each.verdict == "note"]
    doctor = dict(FEATURE.doctor)["voices"]
    assert ("speech is a robot's" in checked) == is_robot
    assert [each.found for each in doctor(config)] == (["speech is a robot's"] if is_robot else [])


def test_a_shop_does_not_replace_a_link_and_names_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "config.toml").symlink_to(tmp_path / "elsewhere")
    assert run("init", "shop", "--voices", "plain", environ=_SECRETS, folder=tmp_path).returncode == 1
    assert not (tmp_path / "elsewhere").exists()
    (tmp_path / "config.toml").unlink()
    done = run("init", "shop", "--voices", "plain", environ={}, folder=tmp_path)
    assert done.returncode == 1
    for name in _SECRETS:
        assert f"env:{name} is not set; export {name}" in done.stderr.decode()
    nowhere = run("init", "shop", "--voices", "plain", environ=_SECRETS, folder=Path("/proc"))
    assert b"/proc/config.toml cannot be written" in nowhere.stderr
