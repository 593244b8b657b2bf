// The form that speaks a text.

const speechForm = {
  fields: Object.fromEntries(["input", "language", "model", "speed"].map((id) => [id, at(id)])),
  end: at("buttons"),
  status: at("status"),
};
const BROKEN = "The answer broke off before its end.";
let playing = null;

function request() {
  const body = { model: at("model").value, voice: chosen, input: at("input").value };
  const speed = Number(at("speed").value);
  if (speed !== 1) body.speed = speed;
  if (at("language").value) body.language = at("language").value;
  return body;
}

function refresh() {
  const length = [...at("input").value].length;
  at("count").textContent = `${length.toLocaleString("en")} ${length === 1 ? "character" : "characters"}`;
  at("speed").setAttribute("aria-valuetext", `${at("speed").value} times`);
  at("speed-shown").textContent = `${Number(at("speed").value).toFixed(2)} ×`;
  // A shell reads what stands between single quotes as it is; only the quote itself must leave them.
  const format = at("format").value;
  const json = JSON.stringify({ ...request(), response_format: format }).replaceAll("'", "'\\''");
  at("base").textContent = root;
  at("curl").textContent =
    `curl -s ${root}/audio/speech -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' -d '${json}' -o speech.${format}`;
  at("save-name").textContent = `Download ${formatName(format)}`;
}

function formatName(format) {
  return format.startsWith("g711") ? `${format.slice(5)}, 8 kHz` : format.toUpperCase();
}

async function openAccount(key) {
  await voicesFor(key);
  // Another key may have been entered in the meantime.
  if (at("key").value.trim() !== key) return;
  keep(key);
  showDoor(false);
  openOwn(key);
}

// The key is asked for until it is known to be good.
function showDoor(is) {
  const hadFocus = at("door").contains(document.activeElement);
  at("door").hidden = !is;
  at("key-change").hidden = is;
  if (is) keep("");
  else if (hadFocus) at("input").focus();
}

// The events of an answer, each as it comes.
async function* eventsOf(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read().catch((error) => {
      throw error.name === "AbortError" ? error : { message: BROKEN };
    });
    // Only an answer that is whole says so.
    if (done) throw { message: BROKEN };
    const whole = (rest + value).split("\n\n");
    rest = whole.pop();
    for (const each of whole) {
      const event = JSON.parse(each.slice("data: ".length));
      if (event.type === "error") throw { ...event.error, message: `The answer broke off: ${event.error.message}` };
      if (event.type === "speech.audio.done") return;
      yield event;
    }
  }
}

function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

async function speak() {
  const key = at("key").value.trim();
  forgive();
  if (!key) return fail({ message: "A key is missing.", code: "invalid_api_key" }, speechForm);
  hush();
  const player = new Player();
  const aborter = new AbortController();
  const mine = { player, aborter, isStopped: false };
  playing = mine;
  at("stop").hidden = false;
  dropClip();
  try {
    await openAccount(key);
    at("status").textContent = "Asking…";
    const [made, began] = [new Clip(request(), chosenVoice(), player), performance.now()];
    const body = JSON.stringify({ ...made.body, response_format: "pcm", stream_format: "words" });
    const answer = await ask("audio/speech", key, { method: "POST", body, signal: aborter.signal });
    let first = null;
    for await (const event of eventsOf(answer)) {
      if (mine.isStopped) break;
      if (event.type === "speech.audio.words") made.add(event.words);
      if (event.type !== "speech.audio.delta") continue;
      player.play(bytesOf(event.audio));
      if (first !== null) continue;
      first = Math.round(performance.now() - began);
      at("status").textContent = "Speaking…";
      openClip(made, answer.headers);
    }
    await player.heard(aborter.signal);
    if (mine.isStopped) return;
    closeClip(made, answer.headers, first);
    at("status").textContent = "";
  } catch (failure) {
    if (mine.isStopped) return;
    dropClip();
    fail(failure, speechForm);
  } finally {
    if (playing === mine) {
      playing = null;
      hideStop();
    }
    await player.close();
  }
}

// Whatever speaks is silent.
function hush() {
  end();
  stopPreview();
  at("audio").pause();
}

function end() {
  if (!playing) return;
  playing.isStopped = true;
  playing.aborter.abort();
  playing.player.close();
  playing = null;
  dropClip();
  hideStop();
}

// The samples are here. Another format is made by the server, of the same request.
async function save() {
  const format = at("format").value;
  forgive();
  try {
    const blob = format === "wav" ? wav(clip.player.parts, RATE) : await spokenAs(format, clip.body);
    const url = URL.createObjectURL(blob);
    element("a", "", { href: url, download: `speech.${format}` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
    at("status").textContent = "";
  } catch (failure) {
    fail(failure, speechForm);
  }
}

async function spokenAs(format, said) {
  at("status").textContent = `Asking for ${formatName(format)}…`;
  const body = JSON.stringify({ ...said, response_format: format });
  return (await ask("audio/speech", at("key").value.trim(), { method: "POST", body })).blob();
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
function tryKey() {
  const key = at("key").value.trim();
  forgive();
  if (key !== own.key) closeOwn();
  if (key && !playing) openAccount(key).catch((failure) => fail(failure, speechForm));
}

at("key").addEventListener("change", tryKey);
at("door").addEventListener("submit", (event) => {
  event.preventDefault();
  if (at("key").value.trim()) tryKey();
  else fail({ message: "A key is missing.", code: "invalid_api_key" }, speechForm);
});
at("key-change").addEventListener("click", () => {
  showDoor(true);
  at("key").focus();
  at("key").select();
});
async function offer(linked) {
  if (!(await isTaken(linked, at("key").value.trim()))) return;
  hush();
  at("key").value = linkedKey = linked;
  tryKey();
}

// A link with a key may be opened where the page already is.
addEventListener("hashchange", () => offer(takeLinkedKey()));
at("find").addEventListener("input", showVoices);
at("language").addEventListener("input", showVoices);
at("pick").addEventListener("click", () => {
  const radio = at("voice").querySelector(":checked") ?? at("voice").querySelector("input:enabled");
  at("voices").scrollIntoView({ block: "nearest" });
  radio?.focus();
});
at("stop").addEventListener("click", stop);
at("save").addEventListener("click", save);
for (const id of ["input", "format", "model", "speed"]) at(id).addEventListener("input", refresh);
for (const button of document.querySelectorAll("[data-copies]")) button.addEventListener("click", () => copy(button));
at("format").replaceChildren(...FORMATS.map((format) => option(format, formatName(format))));
refresh();
at("key").value = keptKey();
if (at("key").value) tryKey();
offer(takeLinkedKey());
