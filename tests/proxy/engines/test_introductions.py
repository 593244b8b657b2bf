"""What is kept of an engine's introduction, and what makes it worthless."""

from pathlib import Path

from structlog.testing import capture_logs

from proxy.config.sections import Config, EngineSection
from proxy.engines import introductions, registry
from proxy.engines.introductions import FOLDER
from proxy.engines.registry import HostedEngineSpec
from proxy.hosts.supervisor import hosted_specs
from speech_engine import API_VERSION
from speech_engine.host.messages import MOST_HELLO_BYTES, HelloReply, encode
from tests.tables import each_row

HELLO = encode(HelloReply(API_VERSION, 1, (), ()))


def spec(data: Path, **settings: object) -> HostedEngineSpec:
    section = EngineSection("tone", settings=settings)
    (found,) = hosted_specs(Config(data=str(data), engines={"mine": section}), registry.load())
    return found


def test_what_was_kept_is_recalled_while_the_section_is_the_same(tmp_path: Path) -> None:
    assert introductions.recall(spec(tmp_path)) is None
    introductions.keep(spec(tmp_path), HELLO, 3.5, "CPML")
    found = introductions.recall(spec(tmp_path))
    assert found is not None
    assert (found.hello, found.loads_s, found.licence) == (HELLO, 3.5, "CPML")
    assert introductions.recall(spec(tmp_path, slots=7)) is None
    assert [file.name for file in (tmp_path / FOLDER).iterdir()] == ["mine"]


def test_a_spoilt_file_says_nothing(tmp_path: Path) -> None:
    introductions.keep(spec(tmp_path), HELLO, 3.5, "")
    file = tmp_path / FOLDER / "mine"
    file.write_bytes(file.read_bytes()[:-3])
    assert introductions.recall(spec(tmp_path)) is None
    assert not file.exists()


@each_row("hello", [b"\xc1garbage", b"\x81\xacapi_version\xff", b"\xff\xfe", b"x" * (MOST_HELLO_BYTES + 1)])
def test_a_description_that_cannot_be_read_is_removed_before_anything_uses_it(
    tmp_path: Path, hello: bytes
) -> None:
    introductions.keep(spec(tmp_path), hello, 3.5, "")
    with capture_logs() as logged:
        assert introductions.recall(spec(tmp_path)) is None
    assert [each["event"] for each in logged] == ["engine.introduction.removed"]
    assert not (tmp_path / FOLDER / "mine").exists()


def test_a_folder_that_cannot_be_written_costs_only_the_memory_of_it(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("in the way")
    introductions.keep(spec(tmp_path), HELLO, 3.5, "")
    assert introductions.recall(spec(tmp_path)) is None
