// The voices, languages and models to choose from.

const MANY_VOICES = 12;
const MOST_SHOWN = 100;
const FORMATS = ["wav", "mp3", "opus", "aac", "flac", "pcm", "g711_ulaw", "g711_alaw"];
const languages = new Intl.DisplayNames("en", { type: "language", style: "short" });
// "male" is a part of "female".
const GENDERS = new Set(["male", "female", "neutral"]);
let voices = [];
let models = [];
let chosen = "alloy";
let recordingHint = "";
let loaded = { key: null, promise: null };

function option(value, text) {
  return element("option", text, { value });
}

function element(name, text, more = {}) {
  return Object.assign(document.createElement(name), { textContent: text, ...more });
}

// A sign from the page's own list of signs.
function icon(name) {
  const ns = "http://www.w3.org/2000/svg";
  const made = document.createElementNS(ns, "svg");
  const used = document.createElementNS(ns, "use");
  made.setAttribute("class", "i");
  made.setAttribute("aria-hidden", "true");
  used.setAttribute("href", `#i-${name}`);
  made.append(used);
  return made;
}

function languageName(tag) {
  try {
    return languages.of(tag);
  } catch {
    return tag;
  }
}

function baseOf(tag) {
  return tag.split("-")[0].toLowerCase();
}

function chosenVoice() {
  return voices.find(({ id }) => id === chosen);
}

// An alias may lead to an engine that cannot speak a voice of recordings. A cast is spoken by several engines.
function modelOf(voice) {
  const own = models.filter(({ owned_by }) => voice.engines.includes(owned_by)).map(({ id }) => id);
  return voice.type === "cast" || !own.length || own.includes(at("model").value) ? at("model").value : own[0];
}

// A recording tells how somebody sounds: such a voice speaks what its engine can.
function speaksOther(voice, tag) {
  return tag && voice.language && voice.type !== "audio_sample" && baseOf(voice.language) !== baseOf(tag);
}

function chooseVoice(voice) {
  at("find").value = "";
  chosen = voice.id;
  if (speaksOther(voice, at("language").value)) at("language").value = "";
  at("model").value = modelOf(voice);
  showVoices();
}

function isFound(voice, words, tag) {
  if (speaksOther(voice, tag)) return false;
  const known = [voice.language, voice.language && languageName(voice.language), voice.gender, ...voice.tags].filter(Boolean);
  const sought = [voice.id, voice.name, voice.description, ...known].join(" ").toLowerCase();
  return words.every((word) => word === voice.gender?.toLowerCase() || (!GENDERS.has(word) && sought.includes(word)));
}

function showVoices() {
  const words = at("find").value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = voices.filter((voice) => isFound(voice, words, at("language").value));
  const first = found.slice(0, MOST_SHOWN);
  // What is chosen stays in sight, also where it is far down in a long list.
  const mine = found.find(({ id }) => id === chosen);
  if (mine && !first.includes(mine)) first.unshift(mine);
  stopPreview();
  at("voice").replaceChildren(...first.map(voiceRow));
  const row = at("voice").querySelector(":checked")?.closest("li");
  if (row) at("voice").scrollTop = row.offsetTop - at("voice").offsetTop - at("voice").clientHeight / 2;
  at("voices-count").textContent = found.length === voices.length ? `${voices.length}` : `${found.length} of ${voices.length}`;
  const rest = found.length - first.length;
  at("voices-about").textContent = found.length ? `${rest} more: find them by name, language or gender.` : "No voice is like that.";
  at("voices-about").hidden = found.length > 0 && rest <= 0;
  showChosen();
  refresh();
}

function voiceRow(voice) {
  const made = element("li", "");
  const label = element("label", "");
  const canSpeak = voice.engines.length > 0;
  const radio = element("input", "", { type: "radio", name: "voice", value: voice.id, checked: voice.id === chosen, disabled: !canSpeak });
  const name = element("span", voice.name, { className: "name" });
  if (isOwn(voice)) name.append(element("span", "Own", { className: "tag" }));
  const about = element("span", "");
  about.append(name, element("span", factsOf(voice).join(" · "), { className: "hint" }));
  label.append(radio, element("span", voice.name[0]?.toUpperCase() ?? "?", { className: "face", ariaHidden: "true" }), about);
  const button = element("button", "", { type: "button", className: "round", disabled: !canSpeak });
  setAction(button, "Play", voice);
  // The arrow keys go through the list; a stop of Tab at each of its buttons would make it endless.
  button.tabIndex = voice.id === chosen ? 0 : -1;
  button.addEventListener("click", () => hearPreview(voice, button));
  radio.addEventListener("change", () => {
    chosen = voice.id;
    at("model").value = modelOf(voice);
    for (const other of at("voice").querySelectorAll("button")) other.tabIndex = other === button ? 0 : -1;
    showChosen();
    refresh();
  });
  made.append(label, button);
  return made;
}

// The account's own voices, names, the engines' natural voices, and those that speak by rules.
function rankOf(voice) {
  if (isOwn(voice)) return 0;
  if (!voice.id.includes("/")) return 1;
  return isOfRules(voice) ? 3 : 2;
}

function isOfRules({ engines }) {
  return engines.length > 0 && engines.every(isByRules);
}

// Its engines are known once the models are there.
function natureOf({ engines, type }) {
  const known = engines.filter((engine) => models.some(({ owned_by }) => owned_by === engine));
  if (!known.length || type === "cast") return "";
  if (known.every(isByRules)) return "speaks by rules";
  return known.some(isByRules) ? "natural in some languages" : "natural";
}

// Whether an engine learned from no recording, whatever its section is called.
function isByRules(engine) {
  const own = models.filter(({ owned_by }) => owned_by === engine);
  return own.length > 0 && own.every(({ is_trained }) => !is_trained);
}

function isOwn({ type, id }) {
  return type !== "catalogue" && id.startsWith("voice_");
}

function factsOf(voice) {
  if (!voice.engines.length) return ["Nothing here can speak it yet"];
  const same = voice.alias_of && (voices.find(({ id }) => id === voice.alias_of)?.name ?? voice.alias_of);
  const facts = [voice.type === "cast" && "several voices", voice.gender, voice.language && languageName(voice.language)];
  facts.push(same ? `same voice as ${same}` : voice.id.includes("/") && voice.id.split("/")[0], natureOf(voice));
  return facts.filter(Boolean);
}

function showChosen() {
  const voice = chosenVoice();
  at("pick").disabled = !voice;
  at("pick-name").textContent = voice?.name ?? "No voice yet";
  at("pick-face").textContent = voice?.name[0]?.toUpperCase() ?? "?";
}

// All languages that somebody may want here: those of the voices, of the reader, and those with a sentence to read.
function showLanguageChoice(spoken) {
  const tags = new Set([...voices.map(({ language }) => language), ...navigator.languages, ...spoken].filter(Boolean));
  const before = at("language").value;
  const named = [...tags].map((tag) => option(tag, languageName(tag)));
  at("language").replaceChildren(option("", "Language of the text"), ...named.sort((a, b) => a.text.localeCompare(b.text, "en")));
  at("language").value = tags.has(before) ? before : "";
}

// Enter in the field of the key asks for the voices and for speech at once: both get the same list.
function voicesFor(key) {
  if (loaded.key !== key) {
    const mine = (loaded = { key, promise: null });
    mine.promise = loadVoices(key, mine).catch((failure) => {
      if (loaded === mine) loaded = { key: null, promise: null };
      throw failure;
    });
  }
  return loaded.promise;
}

async function loadVoices(key, mine) {
  at("status").textContent = "Asking for the voices…";
  const read = async (path) => (await ask(path, key)).json();
  const [listed, known, phrases] = await Promise.all(["audio/voices", "models", "audio/voice_consents/phrases"].map(read));
  if (loaded !== mine) return;
  [models, recordingHint] = [known.data, listed.hint ?? ""];
  voices = listed.data.toSorted((a, b) => rankOf(a) - rankOf(b));
  at("finder").hidden = voices.length <= MANY_VOICES;
  const model = at("model").value;
  at("model").replaceChildren(...models.map(({ id }) => option(id, id)));
  if (models.some(({ id }) => id === model)) at("model").value = model;
  if (!chosenVoice()) chosen = (voices.find(({ engines }) => engines.length) ?? voices[0])?.id ?? "";
  at("language").disabled = at("model").disabled = false;
  showLanguageChoice(phrases.languages);
  showVoices();
  at("status").textContent = "";
}
