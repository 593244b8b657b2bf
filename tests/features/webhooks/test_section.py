"""[webhooks]: on as shipped, taken on by a reload, and what is wrong in it."""

from pathlib import Path

from proxy.config.reload import merge_config
from proxy.config.sections import Config
from proxy.features.webhooks.section import SECTION, WebhookSection
from tests.proxy.config.files import faults, load
from tests.tables import each_row


def test_webhooks_are_on_as_shipped_and_read_as_written(tmp_path: Path) -> None:
    assert SECTION.of(load(tmp_path, "")) == WebhookSection(on=True, allow=(), most=10)
    assert not SECTION.of(load(tmp_path, "[webhooks]\non = false\n")).on
    text = '[webhooks]\non = true\nallow = ["*.example.org", "[::1]"]\naccounts = { ada = ["10.0.0.5"] }\n'
    written = WebhookSection(on=True, allow=("*.example.org", "[::1]"), accounts={"ada": ("10.0.0.5",)})
    assert SECTION.of(load(tmp_path, text)) == written


@each_row(
    ("line", "right"),
    [
        ("on = 1", "true or false"),
        ('allow = ["https://a.example"]', "a list of names without ports"),
        ('accounts = { ada = "10.0.0.5" }', "a table of accounts"),
        ("most = 0", "a number of webhooks, 1 to 1000"),
    ],
)
def test_a_fault_names_the_key_and_what_would_be_right(tmp_path: Path, line: str, right: str) -> None:
    (fault,) = faults(tmp_path, f"[webhooks]\n{line}\n")
    assert fault.startswith(f"webhooks.{line.partition(' ')[0]}")
    assert right in fault


def test_a_reload_takes_it_on() -> None:
    read = Config(features={"webhooks": WebhookSection(on=False)})
    assert not SECTION.of(merge_config(Config(), read, (SECTION,)).config).on
