"""What `voxgate models import` says of the step that comes next."""

from pathlib import Path

from tests.features.models.test_stock import IMPORT, plugins, source
from tests.plugins.piper.tiny import voice
from tests.proxy.cli.test_main import Run, folder, run

__all__ = ["folder", "plugins", "run", "source"]


def _import(run: Run, folder: Path, name: str, licence: str = "CC0-1.0") -> str:
    file = voice(folder / name, name, base_hz=1_000.0 + 100 * len(name))
    ran = run("models", "import", str(file), "--engine", "piper", "--name", name, "--licence", licence)
    assert ran.status == 0, ran.err
    return ran.out


def _config(folder: Path, text: str) -> None:
    (folder / "config.toml").write_text((folder / "config.toml").read_text() + text)


def test_the_first_voice_needs_a_section(run: Run, folder: Path) -> None:
    out = _import(run, folder, "amy")
    assert out.endswith("these lines in the configuration:\n[engines.piper]\ndefault = true\n")


def test_a_voice_that_a_section_does_not_list_is_added_to_its_list(run: Run, folder: Path) -> None:
    _config(folder, '[engines.mine]\nplugin = "piper"\nvoices = ["amy"]\n')
    assert _import(run, folder, "bia").endswith('this in [engines.mine]:\nvoices = ["amy", "bia"]\n')


def test_a_model_under_a_licence_that_must_be_accepted_needs_that_too(run: Run, source: Path) -> None:
    out = run("models", "import", str(source), *IMPORT).out
    assert out.endswith(
        '[engines.chirp]\nmodel = "bird"\naccept_licence = "CPML"  # after you have read it\n'
    )


def test_a_voice_that_silences_its_engine_is_told_with_a_way_to_keep_it_apart(run: Run, folder: Path) -> None:
    _config(folder, "[engines.piper]\n")
    assert _import(run, folder, "amy").endswith("speaks with it after: voxgate engines restart piper\n")
    out = _import(run, folder, "strict", "CC-BY-NC-4.0")
    assert "piper speaks for nobody after its next start: strict is under CC-BY-NC-4.0" in out
    assert "voxgate engines restart" not in out
    text = (folder / "config.toml").read_text()
    apart = out.partition("Or keep strict apart:\n")[2]
    (folder / "config.toml").write_text(text.replace("[engines.piper]\n", apart))
    assert "speaks for nobody" not in _import(run, folder, "strict", "CC-BY-NC-4.0")
    rows = run("models", "list", "--json").json["data"]
    assert {row["name"]: row["engines"] for row in rows} == {"amy": ["piper"], "strict": ["piper-strict"]}


def test_two_licences_that_must_be_accepted_are_told_before_the_engine_fails(run: Run, folder: Path) -> None:
    _config(folder, '[engines.piper]\naccept_licence = "CPML"\n')
    assert "speaks for nobody" not in _import(run, folder, "owned", "CPML")
    assert "piper cannot start again: its models are under" in _import(run, folder, "strict", "CC-BY-NC-4.0")


def test_a_stricter_model_is_told_of_before_it_comes(run: Run, folder: Path) -> None:
    _config(folder, "[engines.piper]\n")
    _import(run, folder, "amy")
    file = voice(folder / "strict", "strict", base_hz=1_900.0)
    command = ("models", "import", str(file), "--engine", "piper", "--name", "strict", "--licence")
    said = run(*command, "CC-BY-NC-4.0").err
    assert "[engines.piper] takes every model of piper, so from its next start CC-BY-NC-4.0 counts" in said
    assert 'write voices = ["amy"] there' in said
    assert "takes every model" not in run(*command, "CC-BY-NC-4.0").err, "it is bound by that already"
    assert "takes every model" not in run(*command, "MIT", "--change-licence").err
