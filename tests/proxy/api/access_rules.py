"""What holds for the things of an account, in one worker and over several: they are the owner's alone."""

from pathlib import Path

from tests.proxy.api import access_world

_LISTS = {
    "/v1/audio/voices": "voice",
    "/v1/voices?mine=true": "voice",
    "/v1/voices?describe=ana": "voice",
    "/v1/audio/voice_consents": "consent",
    "/v1/lexicons": "lexicon",
    "/v1/webhook_endpoints": "webhook",
    "/v1/history": "request",
    "/v1/usage": "request",
    "/v1/usage?by=voice": "voice",
    "/v1/usage?format=csv": "request",
}
"""What the owner finds in each list."""
_MOST_LOOKS = 200
"""A clip is kept behind its answer."""


async def check_actions(world: access_world.AccessWorld) -> None:
    """Others are refused as for an id that nobody has. Then the owner does it: so nobody else had done it."""
    for name, action in access_world.ACTIONS.items():
        for kind in action.objects:
            await _check_action(world, action, kind, name)


async def _check_action(
    world: access_world.AccessWorld, action: access_world.Action, kind: str, name: str
) -> None:
    id_ = world.objects[kind]
    for role in access_world.ROLES:
        if role == "owner":
            continue
        there = await world.act(action, id_, role)
        missing = await world.act(action, access_world.never_was(id_), role)
        assert 400 <= there.status_code < 500, (name, kind, role, there.text)
        refused = {there.status_code, missing.status_code}
        assert (refused <= {401, 429}) == (role in access_world.WITHOUT_A_KEY), (name, kind, role)
        if role not in access_world.DEAD or refused == {401}:
            found, expected = (
                access_world.said(there, id_),
                access_world.said(missing, access_world.never_was(id_)),
            )
            assert found == expected, (name, kind, role, found, expected)
    answer = await world.act(action, id_, "owner")
    assert answer.is_success, (name, kind, answer.text)


async def check_lists(world: access_world.AccessWorld) -> None:
    for path, kind in _LISTS.items():
        assert world.objects[kind] in (await world.ask("owner", "GET", path)).text, path
        for role in access_world.OTHERS:
            shown = (await world.ask(role, "GET", path)).text
            assert not [secret for secret in world.secrets if secret in shown], (path, role)


async def check_kept_answers(world: access_world.AccessWorld) -> None:
    """Two voices of one name and one recording: neither clips nor kept answers are shared."""
    made = await world.ask(
        "stranger", "POST", "/v1/audio/voices", {"name": "Ana Secret"}, file="audio_sample"
    )
    assert made.json()["id"] != world.objects["voice"]
    body = {"model": "tts-1", "voice": "Ana Secret", "input": access_world.TEXT, "cache": True}
    for role in ("owner", "stranger"):
        for _ in range(_MOST_LOOKS):
            spoken = await world.ask(role, "POST", "/v1/audio/speech", body)
            if spoken.headers["x-voxgate-cache"] == "hit" or role == "stranger":
                break
        assert spoken.headers["x-voxgate-cache"] == ("hit" if role == "owner" else "miss")
    body["cache"] = False
    for role, replayed in (("owner", None), ("owner", "true"), ("stranger", None)):
        spoken = await world.ask(role, "POST", "/v1/audio/speech", body, once="order-1")
        assert (spoken.status_code, spoken.headers.get("x-voxgate-replayed")) == (200, replayed)


async def check_same_recording(world: access_world.AccessWorld, folder: Path) -> None:
    """The same bytes in two accounts are two files: one is erased, and the other speaks."""
    theirs = await world.ask("stranger", "POST", "/v1/audio/voices", {"name": "Twin"}, file="audio_sample")
    assert theirs.is_success, theirs.text
    assert len(_accounts(folder)) == 2
    # Nothing but the voice of the owner's "voice with consent" may need the file any more.
    for voice in (await world.ask("owner", "GET", "/v1/voices?mine=true")).json()["data"]:
        if voice["type"] == "audio_sample":
            assert (await world.ask("owner", "DELETE", f"/v1/voices/{voice['id']}")).is_success
    assert len(_accounts(folder)) == 1
    body = {"model": "tts-1", "voice": theirs.json()["id"], "input": "I am still here."}
    assert (await world.ask("stranger", "POST", "/v1/audio/speech", body)).is_success
    assert (await world.ask("stranger", "GET", f"/v1/voices/{body['voice']}/export")).is_success


def _accounts(folder: Path) -> set[str]:
    """Whose sealed files lie there: each account has a folder of its own."""
    return {path.parent.name for path in folder.glob("*/*") if path.is_file()}
