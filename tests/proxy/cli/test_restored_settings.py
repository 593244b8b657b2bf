"""The settings in a stranger's archive: refused, or shown and asked for, before anything is changed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.features.models import natural
from proxy.file_store import data_folder
from proxy.storage.sqlite_backup import DATABASE
from tests.features.models.test_natural import BOMB, MORE
from tests.proxy.api.inside import TONE
from tests.proxy.cli import test_whole_backup
from tests.proxy.cli.test_main import Run, at_a_terminal, folder, refused, run
from tests.proxy.cli.test_whole_backup import installed, tar
from tests.proxy.file_store.test_hostile_rows import everything

pytestmark = pytest.mark.slow

__all__ = ["folder", "installed", "run", "tar"]

GOOD = (
    '[engines.piper]\nvoices = ["joe"]\naccept_licence = "Blizzard-2013"\n[models]\n"tts-1" = ["piper/x"]\n'
)
SHOWN = (
    'natural.toml: "engines.piper": {"voices": ["joe"], "accept_licence": "Blizzard-2013"}',
    'natural.toml: "models.tts-1": ["piper/x"]',
)

NATURAL = {
    **{name: lines for name, (_, lines) in MORE.items()},
    "an alias to a provider beside a good engine": GOOD + '"tts-1-hd" = ["openai/tts-1"]\n',
    "a good engine by a bad name": '[engines.espeak]\nplugin = "piper"\n',
    "no configuration": "[[[",
    "no text": "\x00",
    "brackets without end": f"x = {'[' * 5000}",
    "a bomb of a key": BOMB,
    "a bomb of a name": f"[engines.{'.'.join('a' * 100_000)}]\n",
    "too large": "#" * 1_000_001,
    "orders to a terminal": '[engines."\\u001b]0;x\\u0007"]\n',
}


def with_natural(lines: str) -> Callable[[test_whole_backup.Members], test_whole_backup.Members]:
    return lambda members: [*members, test_whole_backup.file_of(natural.FILE, lines.encode())]


def with_config(text: str) -> Callable[[test_whole_backup.Members], test_whole_backup.Members]:
    """The archive with another config.toml, in its place: the second."""
    return lambda members: [members[0], test_whole_backup.file_of("config.toml", text.encode()), *members[2:]]


@pytest.fixture
def empty(folder: Path, tar: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on a machine without a configuration."""
    new = folder / "new"
    new.mkdir()
    monkeypatch.setenv("VOXGATE_CONFIG", str(new / "config.toml"))
    return new


def test_an_archive_whose_natural_toml_has_more_than_commands_write_is_refused(
    run: Run, folder: Path, tar: Path, empty: Path, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
) -> None:
    whole = tar.read_bytes()
    for number, (name, lines) in enumerate(NATURAL.items()):
        with subtests.test(name):
            tar.write_bytes(whole)
            test_whole_backup.rewritten(tar, with_natural(lines))
            monkeypatch.setenv("VOXGATE_CONFIG", str((folder, empty)[number % 2] / "config.toml"))
            before = everything(folder)
            said = refused(run("restore", str(tar), "--yes"))
            assert "is refused, and nothing was changed" in said
            assert "natural.toml" in said
            assert said.isprintable()
            assert everything(folder) == before


def test_what_is_refused_may_be_taken_out(run: Run, folder: Path, tar: Path) -> None:
    test_whole_backup.rewritten(tar, with_natural("[engines.piper]\nslots = 3\n"))
    assert f"tar --delete -f {tar} natural.toml" in refused(run("restore", str(tar)))
    test_whole_backup.rewritten(tar, test_whole_backup.without(natural.FILE))
    assert run("restore", str(tar)).status == 0


EVIL = '[engines.evil]\nplugin = "openai"\nbase_url = "http://evil.test/v1"\napi_key = "env:KEY"\n'
POSTGRES = '[storage]\nurl = "postgresql://me:s3cret@evil.test/db?password=s3cret"\n'
ALIAS = '[models]\n"tts-1-hd" = ["evil/x"]\n'
ORDERS = "\\u001b[2J\\u009b2J\\u202e\\u007f$9"
CONFIGS = {
    "an engine of a stranger": (EVIL, '"base_url": "http://evil.test/v1", "api_key": "env:KEY"'),
    "an alias to it": (ALIAS + EVIL, '"models.tts-1-hd": ["evil/x"]'),
    "an alias with a secret's name": (
        f'{EVIL}[models]\n"monkey" = ["evil/x"]\nkey = ["evil/x"]\n',
        '"models.key": ["evil/x"]',
    ),
    "a user who is none": (
        '[engines.evil]\nplugin = "openai"\nbase_url = "http://evil.test/a@b?me:@c"\n',
        '"base_url": "http://evil.test/a@b?(not shown)"',
    ),
    "a route to it": (
        f'{EVIL}[[routes]]\nlanguage = "de"\ncandidates = ["evil/x"]\n',
        '"routes": [{"language": "de", "candidates": ["evil/x"]}]',
    ),
    "exceptions of webhooks": (
        '[webhooks]\non = true\nallow = ["10.0.0.5"]\n',
        '"webhooks.allow": ["10.0.0.5"]',
    ),
    "exceptions of one account": (
        '[webhooks]\naccounts = { ada = ["10.0.0.5"] }\n',
        '"webhooks.accounts": {"ada": ["10.0.0.5"]}',
    ),
    "an accepted licence": (
        '[engines.xtts]\nmodel = "x"\naccept_licence = "CPML"\n',
        '"accept_licence": "CPML"',
    ),
    "a proxy before all providers": (
        '[upstream]\nproxy = "http://me:s3cret@evil.test:3128"\n',
        '"upstream.proxy": "http://evil.test:3128"',
    ),
    "a database": (POSTGRES, '"storage.url": "postgresql://evil.test/db?(not shown)"'),
    "a count of requests": (
        '[limits]\nurl = "redis://:s3cret@evil.test/0"\n',
        '"limits.url": "redis://evil.test/0"',
    ),
    "a runner": (
        '[runners.pods]\nplugin = "runpod"\napi_key = "s3cret"\n',
        '"runners.pods": {"plugin": "runpod", "api_key": "(not shown)"}',
    ),
    "a device without end": (
        '[engines.evil]\nplugin = "openai"\napi_key = "file:/dev/zero"\n',
        '"api_key": "file:/dev/zero"',
    ),
    "recordings further down": ('[vault]\nfolder = "a/b/c"\n', '"vault.folder": "a/b/c"'),
    "orders to a terminal": (f'[plans.x]\nprice = "{ORDERS}"\n', ORDERS),
    "free clones": ('[plans.x]\nprice = "$9"\n', '"plans.x": {"price": "$9"}'),
    "data elsewhere": ('[server]\ndata = "/tmp/elsewhere"\n', "keeps its data in /tmp"),
    "recordings elsewhere": ('[vault]\nfolder = "../../x"\n', "keeps its data in"),
    "another section": ("[engine]\n", "no such key"),
    "no configuration": ("[[[", "not valid TOML"),
    "tables in tables": (f"[engines.x]\n{'.'.join('a' * 1500)} = 1\n", "tables without end"),
    "a bomb of a key": (BOMB, "too many dots"),
}


def test_a_configuration_takes_effect_only_once_somebody_has_read_it(
    run: Run, folder: Path, tar: Path, empty: Path, subtests: pytest.Subtests
) -> None:
    whole = tar.read_bytes()
    for name, (text, shown) in CONFIGS.items():
        with subtests.test(name):
            tar.write_bytes(whole)
            test_whole_backup.rewritten(tar, with_config(text))
            if POSTGRES in text:
                test_whole_backup.rewritten(tar, test_whole_backup.without(DATABASE))
                test_whole_backup.rewritten(tar, test_whole_backup.about(database="postgresql"))
            before = everything(folder)
            ran = run("restore", str(tar))
            assert (ran.status, ran.out) == (1, "")
            assert shown in ran.err
            assert ("s3cret" in ran.err, "Traceback" in ran.err) == (False, False)
            assert ran.err.replace("\n", "").isprintable()
            assert everything(folder) == before


def test_without_a_terminal_it_takes_yes_and_shows_what_it_brings(run: Run, tar: Path, empty: Path) -> None:
    test_whole_backup.rewritten(tar, with_natural(GOOD))
    asked = run("restore", str(tar))
    assert asked.status == 1
    assert "without a terminal, add --yes" in asked.err
    assert [*empty.iterdir()] == []
    done = run("restore", str(tar), "--yes", "--json")
    assert (done.status, "engines.tone" in done.err) == (0, True)
    for line in SHOWN:
        assert line in asked.err
        assert line in done.err
    assert (empty / "data" / natural.FILE).read_text() == GOOD
    assert (empty / "config.toml").read_text() == TONE


def test_a_person_is_asked_and_obeyed(
    run: Run, folder: Path, tar: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    test_whole_backup.rewritten(tar, with_natural(GOOD))
    before = everything(folder)
    for answer in ("n\n", "\n", ""):
        said = at_a_terminal(run, monkeypatch, answer, "restore", str(tar))
        assert said.status == 1
        assert "Shall they count from the next start?" in said.err
        assert everything(folder) == before
    said = at_a_terminal(run, monkeypatch, "y\n", "restore", str(tar))
    assert (said.status, "config.toml" in said.err) == (0, False), "the one that is here stays"
    assert (folder / "data" / natural.FILE).read_text() == GOOD


def test_nobody_is_asked_for_what_is_here_already(run: Run, folder: Path, tar: Path) -> None:
    test_whole_backup.rewritten(tar, with_natural(GOOD))
    (folder / "data" / natural.FILE).write_text(GOOD)
    done = run("restore", str(tar))
    assert (done.status, done.err) == (0, "")
    (folder / "data" / natural.FILE).write_text("# none\n")
    assert run("restore", str(tar)).status == 1


def test_a_restore_that_another_process_prevents_leaves_its_lock(run: Run, folder: Path, tar: Path) -> None:
    with data_folder.lock_data_folder(folder / "data"):
        assert "another voxgate" in refused(run("restore", str(tar)))
        assert (folder / "data" / "lock").exists()


def test_sixty_hostile_archives_are_tried() -> None:
    assert len(test_whole_backup.ADDED) + len(NATURAL) + len(CONFIGS) >= 60
