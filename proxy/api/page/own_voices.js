// The voices of the key's account: heard, used in the form above, and deleted.

const PAGE = 10;
const RECEIPT_LOOKS = 20;
const RECEIPT_PAUSE_MS = 1000;
const WITHOUT_KEY = "Enter a key above, and the voices that you made are here.";
const ERASED = "The recording, and all that was made of it, is erased here and at providers. Nobody can bring it back.";
const ownForm = { fields: {}, end: at("own-end"), status: at("own-status") };
const kinds = { audio_sample: "recording", mix: "mix", cast: "cast" };
let own = { key: null, voices: [] };

function closeOwn() {
  own = { key: null, voices: [] };
  stopPreview();
  closeMaker();
  at("own-new").hidden = at("own-more").hidden = true;
  at("own-status").textContent = "";
  at("own-list").replaceChildren();
  showOwn();
}

async function openOwn(key) {
  if (own.key === key) return;
  closeOwn();
  own.key = key;
  at("own-new").hidden = false;
  await showNext();
}

// Asks for the next page, which begins after the last voice that is shown.
async function showNext() {
  const mine = own;
  const last = mine.voices.at(-1);
  try {
    const query = new URLSearchParams({ mine: true, limit: PAGE, ...(last && { after: last.id }) });
    const page = await (await ask(`audio/voices?${query}`, mine.key)).json();
    if (own !== mine) return;
    mine.voices.push(...page.data);
    at("own-list").append(...page.data.map(row));
    at("own-more").hidden = !page.has_more;
    showOwn();
    at("own-status").textContent = mine.voices.length ? `${mine.voices.length} ${page.has_more ? "of your voices are shown." : "in all."}` : "";
    // The new ones come where the button was.
    if (last && page.data.length) rowOf(page.data[0]).focus();
  } catch (failure) {
    if (own === mine) fail(failure, ownForm);
  }
}

function rowOf(voice) {
  return at("own-list").children[own.voices.indexOf(voice)];
}

function showOwn() {
  at("own-list").hidden = !own.voices.length;
  at("own-about").hidden = own.voices.length > 0;
  at("own-about").textContent = own.key ? "There is none yet. Record one, or choose a file." : WITHOUT_KEY;
  // Before anything is recorded: a voice that nothing here can speak is a recording given for nothing.
  at("own-hint").textContent = own.key ? recordingHint : "";
  at("own-hint").hidden = !at("own-hint").textContent;
}

function day(seconds) {
  return new Date(seconds * 1000).toLocaleDateString("en-GB", { dateStyle: "medium" });
}

function row(voice) {
  const made = element("li", "", { tabIndex: -1 });
  const name = element("h3", voice.name);
  const facts = [kinds[voice.type], voice.language && languageName(voice.language), voice.gender];
  if (voice.quality) facts.push(`quality ${voice.quality.rating}`);
  const about = element("div", "");
  about.append(name, element("p", facts.filter(Boolean).join(" · "), { className: "hint" }), ...remarks(voice));
  const buttons = element("div", "", { className: "buttons" });
  for (const [word, act] of [["Play", play], ["Use", use], ["Delete", doom]]) {
    const button = element("button", "", { type: "button", disabled: word !== "Delete" && !voice.engines.length });
    setAction(button, word, voice);
    button.addEventListener("click", () => act(voice, button));
    buttons.append(button);
  }
  made.append(about, buttons);
  return made;
}

function remarks(voice) {
  const { quality, speaker, clones = [], engines, expires_at: ends } = voice;
  const all = (quality?.reasons ?? []).map((reason) => `${reason[0].toUpperCase()}${reason.slice(1)}.`);
  if (speaker?.answer === "other") all.push("Another speaker seems to have given the consent.");
  for (const { engine, state, error } of clones) if (state !== "ready") all.push(`${engine}: ${state}${error && `, ${error}`}.`);
  if (!engines.length) all.push(voice.hint ?? "No engine here can speak it yet.");
  if (ends) all.push(`It is erased on ${day(ends)} if it does not speak before.`);
  return all.map((text) => element("p", text, { className: "hint" }));
}

function play(voice, button) {
  return hearPreview(voice, button, ownForm);
}

function use(voice) {
  chooseVoice(voice);
  at("status").textContent = `${voice.name} is chosen. Type a text, and press Speak.`;
  at("input").focus();
}

async function doom(voice) {
  const [dialog, mine] = [at("doom"), own];
  at("doom-title").textContent = `Delete “${voice.name}”?`;
  at("doom-text").textContent = voice.type === "audio_sample" ? ERASED : "Nobody can bring it back.";
  at("doom-consent").hidden = !voice.consent;
  at("doom-both").checked = false;
  dialog.returnValue = "";
  dialog.showModal();
  at("doom-keep").focus();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  if (dialog.returnValue !== "delete" || own !== mine) return;
  stopPreview();
  forgive();
  at("own-status").textContent = `Deleting ${voice.name}…`;
  try {
    await ask(`audio/voices/${encodeURIComponent(voice.id)}`, mine.key, { method: "DELETE" });
    if (own === mine) forget(voice);
    // A cast is a list of names: there is nothing to erase, and no receipt.
    const left = voice.type === "cast" ? [] : await leftOf(voice, mine);
    const consent = voice.consent ? await endConsent(voice, mine) : "";
    if (own === mine) tellErased(voice, left, consent);
  } catch (failure) {
    if (own === mine) fail(failure, ownForm);
  }
}

// Takes a deleted voice off the page. The focus goes to its neighbour.
function forget(voice) {
  const place = own.voices.indexOf(voice);
  own.voices.splice(place, 1);
  at("own-list").children[place].remove();
  showOwn();
  voices = voices.filter(({ id }) => id !== voice.id);
  showVoices();
  (at("own-list").children[Math.min(place, own.voices.length - 1)] ?? at("own-new")).focus();
}

// The parts of the server that have not erased it yet, by the receipt.
async function leftOf(voice, mine) {
  let left = [];
  for (let look = 0; look < RECEIPT_LOOKS && own === mine; look += 1) {
    if (look) await new Promise((resolve) => setTimeout(resolve, RECEIPT_PAUSE_MS));
    left = (await (await ask(`audio/voices/erasures/${voice.id}`, mine.key)).json()).pending;
    if (!left.length) break;
    at("own-status").textContent = `${voice.name} is deleted. Still being erased: ${left.join(", ")}.`;
  }
  return left;
}

// What became of the consent, in a sentence.
async function endConsent(voice, mine) {
  if (!at("doom-both").checked) return " Its consent is kept.";
  try {
    await ask(`audio/voice_consents/${voice.consent}`, mine.key, { method: "DELETE" });
    return " Its consent is deleted too.";
  } catch ({ message }) {
    return ` Its consent is kept: ${message}`;
  }
}

function tellErased(voice, left, consent) {
  const erased = left.length
    ? `The server goes on erasing: ${left.join(", ")}. Receipt: ${root}/audio/voices/erasures/${voice.id}`
    : "Nothing of it is left on this server.";
  at("own-status").textContent = `${voice.name} is deleted. ${erased}${consent}`;
}

at("own-more").addEventListener("click", showNext);
