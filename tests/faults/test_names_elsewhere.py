"""OpenAI's names on the embedded voice of another machine."""

from pathlib import Path

from plugins.espeak.voices import OPENAI_NAMES
from proxy.config import config_toml
from tests.faults.cluster_hosts import CLUSTER, agent, host_key
from tests.faults.processes import state
from tests.server import Server, running
from tests.waiting import until

# A mark differs from answer to answer.
_ESPEAK = '[engines.espeak]\ncluster = "gpu"\nmarking = false\n'


def test_the_thirteen_names_answer_on_a_host_with_the_section_of_the_docs_alone(tmp_path: Path) -> None:
    (tmp_path / "gateway").mkdir()
    with running(tmp_path / "gateway", f"{CLUSTER}{_ESPEAK}") as server:
        with agent(tmp_path / "host", server.url, host_key(server), "[engines.espeak]\nprocesses = 1"):
            until(lambda: state(server, "espeak")["state"] == "ready")
            assert OPENAI_NAMES.keys() == config_toml.built_in_voices()
            answers = {name: _spoken(server, name) for name in OPENAI_NAMES}
            assert len(set(answers.values())) == len(OPENAI_NAMES)
            assert answers["onyx"] == _spoken(server, f"espeak/{OPENAI_NAMES['onyx'].voice}")


def _spoken(server: Server, voice: str) -> bytes:
    answer = server.speech("Hi.", voice=voice, response_format="pcm")
    assert answer.status_code == 200, answer.text
    return answer.content
