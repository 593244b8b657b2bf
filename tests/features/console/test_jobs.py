"""Jobs: a long text in chapters and a conversion are asked for, watched, cut short, tried again and heard."""

import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from plugins.tone.decode import decode
from proxy.audio.formats import wav_header
from tests import speech_clips
from tests.faults.cluster_hosts import relay
from tests.features.console.console_page import ALL_LOOKS, LOOKS, Reader
from tests.features.console.test_speak import choose_voice
from tests.sound import decoded
from tests.tables import soak
from tests.waiting import until

pytestmark = pytest.mark.slow_but("test_a_job_that_lacks_credits_says_so_before_and_while_it_waits")

_HOSTILE = "<b onclick=alert(1)>&amp;</b> \u202egnp.exe " + "endless" * 22
_LAKE = "Two and three and four. " * 4
_BOOK = f"# The shed\nOne.\n\n# The lake\n{_LAKE}\n"


_LATE_LENGTH = """
(() => {
  const Real = window.Audio;
  window.Audio = function () {
    window.Audio = Real;
    const audio = new Real();
    const listen = audio.addEventListener.bind(audio);
    audio.addEventListener = (name, heard) => listen(name, () => {
      window.tell = () => { heard(); return audio.duration; };
    });
    return audio;
  };
})()
"""
"""The next sound that is looked at tells its length when it is asked to."""
_HASTE = "void (window.setTimeout = ((later) => (step, ms) => later(step, Math.min(50, ms)))(setTimeout))"
"""The list of jobs is read again without a pause."""
_MOST_ROWS = """
void (window.mostRows = 0, new MutationObserver(() => {
  mostRows = Math.max(mostRows, document.querySelectorAll('#jobs-list tbody tr').length);
}).observe(at('#page'), { subtree: true, childList: true }))
"""
_NOTED = """
void (window.lastIds = [], window.fetch = ((fetch) => (url, asked) => {
  if (String(url).endsWith('/events')) lastIds.push(asked.headers['Last-Event-ID'] ?? null);
  return fetch(url, asked);
})(window.fetch))
"""


_ROBOT = """
void (window.fetch = ((fetch) => async (url, asked) => {
  const answer = await fetch(url, asked);
  if (!String(url).endsWith('/events')) return answer;
  return new Response((await answer.text()).replaceAll('"substitute":""', '"substitute":"gmw/de"'), answer);
})(window.fetch))
"""


def ask(reader: Reader, path: str = "/v1/jobs", **body: Any) -> Any:
    """Ask the server beside the page, as another program of the same account."""
    with reader.server.client(reader.key.secret) as client:
        if body:
            answer = client.post(path, json={"model": "tone", "voice": "alloy", **body})
        else:
            answer = client.get(path)
        return answer.raise_for_status().json()


def _state(reader: Reader, state: str) -> None:
    reader.wait(f"at('#job-state .tag')?.textContent === '{state}'")


def _heard(reader: Reader, folder: Path, title: str) -> tuple[str, ...]:
    """Return the texts of the sound in the player, whose title ends so."""
    reader.wait(f"at('.dock .title')?.textContent.endsWith('{title}')")
    saved = reader.tab.downloaded(folder, "at('#dock [aria-label^=\"Download as\"]').click()")
    name = reader.tab.downloads[-1]
    sound = decoded(saved, name.rpartition(".")[2])
    return decode(sound.samples, sound.sample_rate_hz)


def test_a_job_of_two_chapters_is_watched_cancelled_and_tried_again(reader: Reader, tmp_path: Path) -> None:
    reader.open("jobs/new")
    choose_voice(reader, "tone/slow", "#job-voice")
    reader.fill("#job-input", _BOOK)
    reader.reads("2 chapters", "#job-chapters")
    reader.reads("free", "#job-estimate")
    reader.choose("#job-files", "chapters")
    reader.fill("#job-title", _HOSTILE)
    reader.assert_readable(LOOKS[1:])
    reader.press("Begin the job")
    _state(reader, "Running")
    reader.wait("at('#job-steps').textContent === '1 of 2 steps'")
    assert reader.text("h1") == _HOSTILE.strip()
    assert reader.tab.run("document.title").startswith("<b onclick")
    reader.press("Cancel")
    _state(reader, "Cancelled")
    assert reader.tab.run("document.activeElement.tagName") == "H1"
    reader.reads("up to the first gap", "#job-result")
    reader.press("Try again")
    _state(reader, "Done")
    reader.press("Play Step 1")
    assert _heard(reader, tmp_path, "Step 1") == ("One.",)
    reader.assert_readable(LOOKS[:1])
    saved = zipfile.ZipFile(BytesIO(reader.tab.downloaded(tmp_path, "at('#job-save').click()")))
    assert [name.partition(" ")[2] for name in saved.namelist()] == ["The shed.mp3", "The lake.mp3"]
    # The whole is a zip, which no player plays.
    assert reader.tab.run("[at('#job-save').innerText.trim(), at('#job-play')]") == ["Download ZIP", None]
    reader.press("Play The lake")
    assert " ".join(_heard(reader, tmp_path, "The lake")) == _LAKE.strip()
    subtitles = reader.tab.downloaded(tmp_path, "at('#job-srt').click()").decode()
    assert "Two and three and four." in subtitles
    reader.press("Delete")
    reader.wait("at('#question').open")
    assert _HOSTILE.strip() in reader.text("#question")
    reader.press("Delete", "at('#question')")
    reader.wait("at('#jobs-none') && document.activeElement.tagName === 'H1'")


def test_the_time_left_is_told_and_a_break_is_no_end(reader: Reader) -> None:
    chapters = [{"input": f"Number {number}."} for number in range(6)]
    port = int(reader.server.url.rpartition(":")[2])
    with relay(port) as between:
        far = reader._replace(server=reader.server._replace(url=f"http://127.0.0.1:{between.port}"))
        far.open()
        far.tab.run(_NOTED)
        job = ask(reader, voice="tone/slow", speed=2, chapters=chapters, title="Six")
        far.go(f"jobs/{job['id']}")
        far.wait("at('#job-left')?.textContent.startsWith('about ')")
        # Every connection ends, and further ones are taken.
        between.join()
        far.reads("The connection broke.")
        _state(far, "Done")
        assert "The connection broke." not in far.text()
        assert far.tab.run("at('#job-steps').textContent") == "6 of 6 steps"
        first, second = far.tab.run("window.lastIds")
        assert first is None
        assert int(second) > 0
        far.tab.open("about:blank")
        far.tab.requests.clear()


@pytest.mark.kit("axe")
def test_a_job_that_lacks_credits_says_so_before_and_while_it_waits(reader: Reader) -> None:
    poor = reader._replace(key=reader.server.mint_key("poor", plan="sold"))
    poor.open("jobs/new")
    poor.fill("#job-input", "It costs more than there is. " * 3)
    poor.reads("You have 60 credits.")
    poor.press("Begin the job")
    _state(poor, "Waiting")
    poor.reads("It waits for credits")
    poor.assert_readable(LOOKS[:1])
    poor.press("Cancel")
    _state(poor, "Cancelled")


def test_a_recording_is_converted(reader: Reader, tmp_path: Path) -> None:
    reader.open("jobs/convert")
    reader.wait("at('#convert-go')")
    reader.press("Convert")
    reader.wait("at('#convert-file-alert') && document.activeElement.id === 'convert-file'")
    # The length of an earlier file comes late, and changes nothing.
    reader.tab.run(_LATE_LENGTH)
    early = tmp_path / "early.wav"
    early.write_bytes(wav_header(2_400_000, 24_000) + bytes(4_800_000))
    reader.file("#convert-file", early)
    reader.wait("window.tell")
    reader.file("#convert-file", speech_clips.wav_file())
    reader.reads(".wav, 1", "#convert-name")
    told = reader.text("#convert-name")
    assert reader.tab.run("tell()") == 100
    assert reader.text("#convert-name") == told
    reader.press("Convert")
    reader.reads("needs the consent")
    assert reader.tab.run("document.activeElement.id") == "convert-consent"
    reader.assert_readable(LOOKS[:1])
    reader.choose("#convert-consent", "true")
    reader.choose("#convert-response_format", "flac")
    reader.press("Convert")
    _state(reader, "Done")
    assert ask(reader)["data"][0]["kind"] == "conversion"
    heard = decoded(reader.tab.downloaded(tmp_path, "at('#job-save').click()"), "flac")
    assert heard.seconds == pytest.approx(decoded(speech_clips.wav(), "wav").seconds, abs=0.1)
    reader.press("Play")
    reader.wait("at('#player-play') && !at('#player-play').disabled")


@pytest.mark.parametrize("looks", [LOOKS, *soak((ALL_LOOKS,))])
def test_each_state_is_told_in_words_and_can_be_read(
    reader: Reader, looks: tuple[tuple[int, str], ...]
) -> None:
    cast = {"cast": {"Ann": "tone/tone", "Ben": "tone/refuse"}}
    chapters = [{"input": "[Ann] One."}, {"input": "[Ben] Two."}]
    part = ask(reader, voice=cast, chapters=chapters, title=_HOSTILE.strip())["id"]
    until(lambda: ask(reader, f"/v1/jobs/{part}")["ended"])
    away = ask(reader, voice="tone/unavailable", input="Two.", title="Away")["id"]
    reader.open("jobs")
    reader.reads("It waits for an engine", "#jobs-list")
    tags = reader.tab.run("[...document.querySelectorAll('#jobs-list .tag')].map((tag) => tag.textContent)")
    assert tags == ["Queued", "Failed in part"]
    assert _HOSTILE.strip() in reader.text("#jobs-list")
    reader.assert_readable(looks)
    reader.go(f"jobs/{part}")
    _state(reader, "Failed in part")
    reader.reads("ContentRefused", "#job-error")
    reader.assert_readable(looks)
    reader.go(f"jobs/{away}")
    reader.reads("It waits for an engine")
    reader.press("Cancel")
    _state(reader, "Cancelled")
    # The list follows what goes on elsewhere.
    reader.go("jobs")
    more = ask(reader, voice="tone/slow", input="Slowly spoken.", title="More")["id"]
    reader.go(f"jobs/{more}")
    reader.go("jobs")
    reader.reads("More", "#jobs-list")
    reader.wait("at('#jobs-list .tag').textContent === 'Done'")
    reader.go("jobs/job_none")
    reader.reads("does not exist", "#page-end-alert")
    reader.assert_readable(looks[:1])


def test_a_job_by_a_robot_says_so(reader: Reader) -> None:
    job = ask(reader, input="One.", title="One")["id"]
    until(lambda: ask(reader, f"/v1/jobs/{job}")["ended"])
    reader.open()
    reader.tab.run(_ROBOT)
    reader.go(f"jobs/{job}")
    reader.reads("A robot read this.")
    assert "does not have this voice" not in reader.text()


def test_what_a_narrow_bar_has_no_place_for_is_on_the_page_of_jobs(reader: Reader) -> None:
    reader.tab.show(width=375)
    reader.open("jobs")
    links = "[...document.querySelectorAll('.rail nav a, .makers a')].filter((each) => each.offsetParent)"
    hashes = reader.tab.run(f"{links}.map((each) => each.hash)")
    assert hashes[:6] == [
        f"#/{page}" for page in ("speak", "transcribe", "voices", "jobs", "history", "account")
    ]
    assert hashes[6:] == ["#/scripts", "#/jobs/book", "#/jobs/dub"]
    assert reader.tab.run("(({ scrollWidth, clientWidth }) => scrollWidth <= clientWidth)(at('.rail nav'))")
    reader.tab.show(width=1280)
    assert not reader.tab.run("shown('.makers')")


def test_a_long_list_is_shown_page_by_page(reader: Reader) -> None:
    for number in range(51):
        ask(reader, input="Hm.", title=f"Job {number}")
    away = ask(reader, voice="tone/unavailable", input="Two.")["id"]
    account = ask(reader, "/v1/me")["account"]["id"]
    reader.open()
    reader.tab.run(_HASTE)
    reader.go("jobs")
    reader.wait("document.querySelectorAll('#jobs-list tbody tr').length === 50")
    assert reader.tab.run("document.querySelectorAll('*').length") < 1500
    # The second press finds no more.
    reader.tab.run(_MOST_ROWS)
    reader.tab.run("(button('Show more').click(), button('Show more').click())")
    reader.wait("mostRows === 52 && !button('Show more')")
    # The list follows what goes on elsewhere, but not while its reader is at the door.
    with reader.server.control() as control:
        control.delete(f"/admin/keys/{reader.key.id}").raise_for_status()
    reader.wait("at('#door-card')")
    assert "cannot be reached" not in reader.text()
    again = reader._replace(key=reader.server.mint_key(account))
    again.fill("#door-key", again.key.secret)
    again.tab.press("Enter")
    again.wait("!at('#door-card')")
    with again.server.client(again.key.secret) as client:
        client.post(f"/v1/jobs/{away}/cancel").raise_for_status()
    again.reads("Cancelled", "#jobs-list")
    assert again.tab.run("[mostRows, document.querySelectorAll('#jobs-list tbody tr').length]") == [52, 52]
    # Without the last row that is shown, what follows it is found.
    admin = reader._replace(key=reader.server.mint_key("dev", role="admin"))
    admin.open(f"admin/jobs/{account}")
    rows = "[...document.querySelectorAll('.rows li')]"
    admin.wait(f"{rows}.length === 50")
    admin.tab.run(f"{rows}.at(-1).querySelector('button').click()")
    admin.press("Delete", "at('#question')")
    admin.wait(f"{rows}.length === 49")
    admin.press("Show more")
    admin.wait(f"{rows}.length === 51 && !button('Show more')")


def test_a_job_is_begun_with_the_keyboard_alone(reader: Reader) -> None:
    reader.open("jobs")
    reader.wait("at('#jobs-none')")
    reader.tab.run("at('#page h1').focus()")
    for key in ("Tab", "Tab", "Enter"):
        reader.tab.press(key)
    reader.wait("document.activeElement.tagName === 'H1' && at('#job-input')")
    reader.tab_to("#job-input")
    reader.tab.run("at('#job-input').select()")
    reader.tab.type("By keys.")
    reader.wait("at('#job-estimate').textContent.startsWith('8 characters')")
    for key in ("Tab", "Tab", "Enter"):
        reader.tab.press(key)
    _state(reader, "Done")
    reader.assert_readable(LOOKS[1:])
