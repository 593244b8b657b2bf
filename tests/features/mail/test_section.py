"""[mail]: what a URL means, what is wrong in it, and no password anywhere."""

import asyncio
from pathlib import Path

import msgspec

from proxy.config.finding import Finding
from proxy.config.reload import merge_config
from proxy.config.sections import Config, Upstream
from proxy.features.mail import mail_check
from proxy.features.mail.section import SECTION, MailSection, SmtpServer, read_url
from tests.features.mail.receiver import CERTIFICATE, receiver
from tests.proxy.config.files import faults, load
from tests.tables import each_row

FROM = 'from = "Voices <voices@example.org>"'


@each_row(
    ("url", "server"),
    [
        ("smtps://u%40x:p%2F1@mx.example.org", SmtpServer("mx.example.org", 465, "tls", "u@x", "p/1")),
        ("smtp://mx.example.org", SmtpServer("mx.example.org", 587, "starttls")),
        ("smtp://10.0.0.5:25", SmtpServer("10.0.0.5", 25, "starttls")),
        ("smtp://127.0.0.1", SmtpServer("127.0.0.1", 25, "plain")),
        ("smtp://localhost:1025/", SmtpServer("localhost", 1025, "plain")),
        ("smtp://[::1]:1025", SmtpServer("::1", 1025, "plain")),
        ("smtp://127.0.0.1.example.org", SmtpServer("127.0.0.1.example.org", 587, "starttls")),
    ],
)
def test_only_this_machine_is_spoken_to_in_the_clear(url: str, server: SmtpServer) -> None:
    assert read_url(url) == server
    assert "p/1" not in repr(read_url(url))


@each_row(
    ("lines", "fault"),
    [
        (f'url = "https://hunter2@mx.example.org"\n{FROM}', "mail.url: must be"),
        (f'url = "smtp://hunter2@mx.example.org"\n{FROM}', "mail.url: has a user or a password alone"),
        (f'url = "smtp://u:hunter2@mx.example.org:99999"\n{FROM}', "mail.url: must be"),
        (f'url = "smtp://u:hunter2@mx.example.org/x?starttls=no"\n{FROM}', "mail.url: must be"),
        (f'url = "smtp://u:hunter2@"\n{FROM}', "mail.url: must be"),
        (f'url = "smtp://u:hunter2@mx.example.org\\r\\nx"\n{FROM}', "mail.url: must be"),
        (f'url = "env:SMTP_URL"\n{FROM}', "mail.url: env:SMTP_URL is not set"),
        ('url = "smtp://u:hunter2@mx.example.org"', "mail.from: must be"),
        ('url = "smtp://localhost"\nfrom = "Voices"', "mail.from: must be"),
        ('url = "smtp://localhost"\nfrom = "a@example.org\\nBcc: b@example.org"', "mail.from: must be"),
        ("url = 1", "mail.url: must be"),
    ],
)
def test_a_fault_names_the_key_and_never_the_url(tmp_path: Path, lines: str, fault: str) -> None:
    (found,) = faults(tmp_path, f"[mail]\n{lines}\n")
    assert found.startswith(fault)
    assert "hunter2" not in found


def test_a_secret_stays_in_the_environment(tmp_path: Path) -> None:
    url = "smtps://u:hunter2@mx.example.org"
    config = load(tmp_path, f'[mail]\nurl = "env:SMTP_URL"\n{FROM}\n', SMTP_URL=url)
    assert SECTION.of(config).url == url
    assert config.secrets == ("SMTP_URL",)
    assert "hunter2" not in f"{config} {SECTION.of(config)}"
    assert not SECTION.of(load(tmp_path, "")).url
    # A worker gets it as plain data.
    plain = msgspec.structs.replace(config, features=msgspec.to_builtins(config.features))
    assert SECTION.of(plain).sender == "Voices <voices@example.org>"
    assert SECTION.of(merge_config(Config(), config, (SECTION,)).config).url == url


async def test_the_doctor_connects() -> None:
    def findings(url: str) -> list[Finding]:
        mail = MailSection(url=url, sender="voices@example.org")
        config = Config(upstream=Upstream(ca_file=str(CERTIFICATE)), features={"mail": mail})
        return [*mail_check.check_server(config)]

    assert findings("") == []
    async with receiver() as served:
        (found,) = await asyncio.to_thread(findings, served.url)
        assert (found.verdict, found.found) == ("ok", f"127.0.0.1:{served.port} takes mails, on this machine")
    (found,) = await asyncio.to_thread(findings, "smtp://127.0.0.1:9")
    assert (found.verdict, found.found) == ("wrong", "127.0.0.1:9: ConnectionRefusedError")
