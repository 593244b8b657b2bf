"""Which pods go: never another's, never one with work before its deadline, and every idle one in time."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from plugins.runpod.cloud import Pod
from plugins.runpod.reaper import is_ours, last_needed, pod_name, to_terminate
from plugins.runpod.settings import PodSettings
from tests.tables import each_row

RULES = PodSettings(
    deployment="blue", image="image", gpus=("gpu",), usd_per_hour=1.0, idle_s=300, deadline_s=14_400
)
NAME = pod_name("blue", "0123456789abcdef0123456789abcdef")
_NOW = 1_000_000.0

_NAMES = st.one_of(
    st.just(NAME),
    st.sampled_from(["voxgate-green-0123456789abcdef0123", "voxgate-blue", f"{NAME}0", f"my-{NAME}"]),
    st.text(max_size=40),
)


def _written(created_at: float) -> str:
    return datetime.fromtimestamp(created_at, UTC).isoformat()


_PODS = st.lists(
    st.builds(
        Pod,
        id=st.uuids().map(str),
        name=_NAMES,
        status=st.sampled_from(["STARTING", "RUNNING", "EXITED", "ERROR", "TERMINATED", "HIBERNATING"]),
        created_at=st.floats(_NOW - 20_000, _NOW).map(_written),
    ),
    max_size=8,
)


def _pod(status: str = "RUNNING", age_s: float = 1000.0, name: str = NAME, id_: str = "a") -> Pod:
    return Pod(id=id_, name=name, status=status, created_at=_written(_NOW - age_s))


@each_row(
    ("pod", "needed_s_ago", "reason"),
    [
        (_pod(), 299.0, None),
        (_pod(), 300.0, "idle"),
        (_pod(age_s=14_399), 0.0, None),
        (_pod(age_s=14_400), 0.0, "deadline"),
        (_pod("ERROR"), 0.0, "broken"),
        (_pod("EXITED"), 0.0, "broken"),
        (_pod("STARTING"), 299.0, None),
        (_pod("STARTING"), 300.0, "idle"),
        (_pod("HIBERNATING"), 300.0, "idle"),
        (_pod("TERMINATED"), 300.0, None),
        (_pod(name="voxgate-green-0123456789abcdef0123"), 9000.0, None),
        (_pod(name="voxgate-blue-0123456789abcdef0123-x"), 9000.0, None),
    ],
)
def test_a_table_of_pods(pod: Pod, needed_s_ago: float, reason: str | None) -> None:
    found = to_terminate([pod], {"a": _NOW - needed_s_ago}, _NOW, RULES)
    assert found == ({} if reason is None else {"a": reason})


@given(_PODS, st.floats(0, 1e9))
def test_somebody_elses_pod_is_never_touched(pods: list[Pod], later_s: float) -> None:
    ours = {pod.id for pod in pods if pod.name == NAME}
    assert to_terminate(pods, {}, _NOW + later_s, RULES).keys() <= ours


@given(_PODS, st.data())
def test_work_keeps_a_pod_until_its_deadline(pods: list[Pod], data: st.DataObject) -> None:
    live = data.draw(st.sets(st.sampled_from([pod.id for pod in pods]))) if pods else set[str]()
    needed = last_needed({}, pods, dict.fromkeys(live, _NOW))
    for id_, reason in to_terminate(pods, needed, _NOW, RULES).items():
        pod = next(pod for pod in pods if pod.id == id_)
        assert reason != "idle" or pod.id not in live
        assert reason != "deadline" or _NOW - pod.made_at >= RULES.deadline_s


@given(_PODS)
def test_all_of_ours_are_gone_after_the_idle_time_without_work(pods: list[Pod]) -> None:
    needed = last_needed({}, pods, {pod.id: _NOW for pod in pods})
    later = last_needed(needed, pods, {})
    early = to_terminate(pods, later, _NOW + RULES.idle_s - 1.0, RULES)
    assert "idle" not in early.values()
    found = to_terminate(pods, later, _NOW + RULES.idle_s, RULES)
    assert found.keys() == {pod.id for pod in pods if pod.name == NAME and pod.status != "TERMINATED"}


@given(_PODS)
def test_turns_in_between_prolong_nobodys_life(pods: list[Pod]) -> None:
    needed = last_needed({}, pods, {})
    for _ in range(5):
        needed = last_needed(needed, pods, {})
    assert needed == {pod.id: pod.made_at for pod in pods}


def test_a_new_process_ends_at_once_what_no_row_knows_and_leaves_what_is_young() -> None:
    pods = [_pod(age_s=301, id_="old"), _pod(age_s=299, id_="young")]
    needed = last_needed({}, pods, {})
    assert to_terminate(pods, needed, _NOW, RULES) == {"old": "idle"}


def test_a_pod_that_is_gone_is_forgotten() -> None:
    assert last_needed({"gone": 5.0}, [], {"gone": _NOW}) == {}


@given(st.from_regex(r"[a-z0-9]{1,20}", fullmatch=True), st.from_regex(r"[0-9a-f]{64}", fullmatch=True))
def test_names_are_those_of_one_deployment(deployment: str, digest: str) -> None:
    name = pod_name(deployment, digest)
    assert is_ours(name, deployment)
    assert not is_ours(name, deployment + "x")
    assert not is_ours(name, deployment[:-1])
    assert not is_ours(name.upper() + "G", deployment)
