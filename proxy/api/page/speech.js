// The form that speaks a text.

const speechForm = {
  fields: Object.fromEntries(["input", "voice", "model", "speed"].map((id) => [id, at(id)])),
  end: at("buttons"),
  status: at("status"),
};
let playing = null;

function request() {
  const body = { model: at("model").value, voice: at("voice").value, input: at("input").value };
  const speed = Number(at("speed").value);
  return speed === 1 ? body : { ...body, speed };
}

function refresh() {
  const length = [...at("input").value].length;
  at("count").textContent = `${length.toLocaleString("en")} ${length === 1 ? "character" : "characters"}`;
  at("speed").setAttribute("aria-valuetext", `${at("speed").value} times`);
  at("speed-shown").textContent = `${Number(at("speed").value).toFixed(2)} ×`;
  // A shell reads what stands between single quotes as it is; only the quote itself must leave them.
  const json = JSON.stringify(request()).replaceAll("'", "'\\''");
  at("base").textContent = root;
  at("curl").textContent =
    `curl -s ${root}/audio/speech -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' -d '${json}' -o speech.mp3`;
}

async function openAccount(key) {
  await voicesFor(key);
  // Another key may have been entered in the meantime.
  if (at("key").value.trim() === key) openOwn(key);
}

async function speak() {
  const key = at("key").value.trim();
  forgive();
  if (!key) return fail({ message: "A key is missing.", code: "invalid_api_key" }, speechForm);
  end();
  const player = new Player();
  const aborter = new AbortController();
  const mine = { player, aborter, isStopped: false };
  playing = mine;
  at("stop").hidden = false;
  at("heard").hidden = true;
  try {
    await openAccount(key);
    at("status").textContent = "Asking…";
    const began = performance.now();
    const body = JSON.stringify({ ...request(), response_format: "pcm" });
    const answer = await ask("audio/speech", key, { method: "POST", body, signal: aborter.signal });
    const reader = answer.body.getReader();
    let first = null;
    for (;;) {
      const { done, value } = await reader.read().catch((error) => {
        throw error.name === "AbortError" ? error : { message: "The answer broke off before its end." };
      });
      if (done || mine.isStopped) break;
      player.play(value);
      if (first === null) {
        first = Math.round(performance.now() - began);
        at("status").textContent = "Speaking…";
      }
    }
    await player.heard(aborter.signal);
    if (!mine.isStopped) finish(player, answer.headers.get("x-voxgate-engine"), first);
  } catch (failure) {
    if (!mine.isStopped) fail(failure, speechForm);
  } finally {
    await player.close();
    if (playing === mine) {
      playing = null;
      hideStop();
    }
  }
}

function finish(player, engine, first) {
  URL.revokeObjectURL(at("audio").src);
  const url = URL.createObjectURL(wav(player.parts, RATE));
  at("audio").src = at("save").href = url;
  at("heard").hidden = false;
  at("status").textContent = `${player.seconds.toFixed(1)} s by ${engine}. The first sound came after ${first} ms.`;
}

function end() {
  if (!playing) return;
  playing.isStopped = true;
  playing.aborter.abort();
  playing.player.close();
  playing = null;
  hideStop();
}

// A focus on what is hidden is lost, and the keyboard starts at the top again.
function hideStop() {
  if (document.activeElement === at("stop")) at("speak").focus();
  at("stop").hidden = true;
}

function stop() {
  end();
  at("status").textContent = "Stopped.";
}

async function copy(button) {
  const source = at(button.dataset.copies);
  const words = button.textContent;
  try {
    await navigator.clipboard.writeText(source.textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = words; }, 2000);
  } catch {
    // Without TLS only this machine may write the clipboard: mark the text instead.
    getSelection().selectAllChildren(source);
    source.focus();
  }
}

at("form").addEventListener("submit", (event) => {
  event.preventDefault();
  speak();
});
at("input").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) speak();
});
at("key").addEventListener("change", () => {
  const key = at("key").value.trim();
  forgive();
  if (key !== own.key) closeOwn();
  if (key && !playing) openAccount(key).catch((failure) => fail(failure, speechForm));
});
at("find").addEventListener("input", showVoices);
at("stop").addEventListener("click", stop);
for (const id of ["input", "voice", "model", "speed"]) at(id).addEventListener("input", refresh);
for (const button of document.querySelectorAll("[data-copies]")) button.addEventListener("click", () => copy(button));
refresh();
