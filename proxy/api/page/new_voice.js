// A new voice: a recording, its speaker's consent, a name.

const sample = new Recorder(at("sample"), { least: 6, most: 30 });
const reading = new Recorder(at("reading"));
const makerForm = {
  fields: {
    name: at("own-name"),
    language: at("own-language"),
    audio_sample: sample.field,
    ref_text: at("own-words"),
    recording: reading.field,
    statement: at("own-statement"),
    consent: at("own-consent"),
  },
  end: at("maker-buttons"),
  status: at("maker-status"),
};
let agreed = null;
let attempt = null;
let making = null;

function way() {
  return document.querySelector("[name=way]:checked").value;
}

function showWay() {
  for (const part of document.querySelectorAll("[data-way]")) part.hidden = part.dataset.way !== way();
  // What is not shown may not listen.
  if (way() !== "phrase") reading.stop();
}

function chooseWay(value) {
  document.querySelector(`[name=way][value=${value}]`).checked = true;
  showWay();
}

function allowWay(value, isAllowed) {
  document.querySelector(`[name=way][value=${value}]`).closest("label").hidden = !isAllowed;
  if (!isAllowed && way() === value) chooseWay("phrase");
}

async function openMaker() {
  const mine = own;
  forgive();
  at("maker").hidden = false;
  at("own-new").hidden = true;
  at("own-name").focus();
  try {
    const paths = ["me", "audio/voice_consents/phrases", "audio/voice_consents?limit=100"];
    const [me, told, consents] = await Promise.all(paths.map(async (path) => (await ask(path, mine.key)).json()));
    if (own !== mine) return;
    showLanguages(told.languages);
    showConsents(consents.data);
    allowWay("none", me.plan.consent === "waived");
    await Promise.all([showHint(), showPhrase()]);
  } catch (failure) {
    if (own === mine) fail(failure, makerForm);
  }
}

function showLanguages(spoken) {
  const preferred = navigator.languages.filter((tag) => tag.includes("-") || spoken.includes(tag));
  const tags = [...new Set([...spoken, ...preferred, ...voices.map(({ language }) => language).filter(Boolean)])];
  const named = tags.map((tag) => option(tag, languageName(tag)));
  // Nobody guesses: a wrong language would stay with the voice.
  const asked = option("", "What do you speak?");
  at("own-language").replaceChildren(asked, ...named.sort((a, b) => a.text.localeCompare(b.text, "en")));
}

function showConsents(kept) {
  at("own-consent").replaceChildren(
    ...kept.map(({ id, name, language, created_at: seconds }) =>
      option(id, [name, languageName(language), day(seconds)].join(", ")),
    ),
  );
  allowWay("kept", kept.length > 0);
}

// Whether anything here can speak a recording in this language: told before there is one.
async function showHint() {
  const [language, mine] = [at("own-language").value, own];
  const query = new URLSearchParams({ mine: true, limit: 1, ...(language && { language }) });
  const { hint = "" } = await (await ask(`audio/voices?${query}`, mine.key)).json();
  if (own !== mine || at("own-language").value !== language) return;
  at("maker-hint").textContent = hint;
  at("maker-hint").hidden = !hint;
}

// Some languages have no sentence. Then the server's words say what to do.
async function showPhrase() {
  const [language, mine] = [at("own-language").value, own];
  const place = at("phrase");
  let text;
  if (!language) {
    place.lang = "en";
    place.textContent = "Choose a language above, and the sentence is here.";
    return;
  }
  try {
    text = (await (await ask(`audio/voice_consents/phrases?language=${language}`, mine.key)).json()).phrase;
    place.lang = language;
  } catch ({ message }) {
    text = message;
    place.lang = "en";
  }
  if (own === mine && at("own-language").value === language) place.textContent = text;
}

// The fields are emptied, and the microphone is given back.
function closeMaker() {
  making = null;
  at("maker").hidden = true;
  at("own-new").hidden = !own.key;
  at("maker").reset();
  makerForm.status.textContent = "";
  sample.clear();
  showWay();
  reading.clear();
  agreed = attempt = null;
}

async function cancel() {
  if (making) return;
  const [left, mine] = [agreed, own];
  forgive();
  closeMaker();
  at("own-new").focus();
  // A consent that was kept for this voice alone has no use any more.
  if (!left) return;
  try {
    await ask(`audio/voice_consents/${left.id}`, mine.key, { method: "DELETE" });
    if (own === mine) at("own-status").textContent = "Nothing was kept.";
  } catch (failure) {
    if (own === mine) fail(failure, ownForm);
  }
}

function form(fields) {
  const made = new FormData();
  for (const [name, value] of Object.entries(fields)) if (value) made.append(name, value);
  return made;
}

// Keeps the consent, once for what was said: a second try with another name needs no second consent.
async function keepConsent(key) {
  if (way() === "none") return null;
  if (way() === "kept") return at("own-consent").value;
  const isRead = way() === "phrase";
  const said = isRead ? reading.take : at("own-statement").value.trim();
  const language = at("own-language").value;
  if (!said && isRead) throw { message: "Record the sentence of the consent, or choose a file.", param: "recording" };
  if (!said) throw { message: "Write who agreed to what.", param: "statement" };
  if (agreed?.said === said && agreed.language === language) return agreed.id;
  makerForm.status.textContent = "Keeping the consent…";
  const fields = { name: at("own-name").value, language };
  const body = isRead ? form({ ...fields, recording: said }) : JSON.stringify({ ...fields, statement: said });
  const { id } = await (await ask("audio/voice_consents", key, { method: "POST", body })).json();
  if (own.key === key) agreed = { id, said, language };
  return id;
}

// The same voice, sent again after a lost answer, is made once.
function onceKey(fields) {
  const { audio_sample: take, ...texts } = fields;
  const said = JSON.stringify(texts);
  if (attempt?.take !== take || attempt.said !== said) {
    const random = crypto.getRandomValues(new Uint8Array(16));
    attempt = { take, said, key: [...random].map((byte) => byte.toString(16).padStart(2, "0")).join("") };
  }
  return attempt.key;
}

async function create() {
  const mine = own;
  if (making) return;
  forgive();
  const turn = (making = {});
  try {
    if (!at("own-language").value) throw { message: "Choose the language that is spoken in the recording.", param: "language" };
    if (!sample.take) throw { message: "Record the voice, or choose a file.", param: "audio_sample" };
    if (!(await mayUpload(mine.key)) || making !== turn) return;
    const consent = await keepConsent(mine.key);
    if (making !== turn) return;
    const texts = { name: at("own-name").value, language: at("own-language").value, ref_text: at("own-words").value.trim() };
    const fields = { ...texts, consent, audio_sample: sample.take };
    makerForm.status.textContent = "Making the voice…";
    const headers = { "Idempotency-Key": onceKey(fields) };
    const voice = await (await ask("audio/voices", mine.key, { method: "POST", body: form(fields), headers })).json();
    if (own === mine) showMade(voice);
  } catch (failure) {
    if (making !== turn) return;
    fail(failure, makerForm);
  } finally {
    if (making === turn) making = null;
  }
}

function showMade(voice) {
  closeMaker();
  own.voices.unshift(voice);
  at("own-list").prepend(row(voice));
  showOwn();
  voices.unshift(voice);
  showVoices();
  rowOf(voice).focus();
  const { rating, reasons } = voice.quality;
  const advice = rating === "low" ? " You can delete it, and record it again." : "";
  at("own-status").textContent = `${voice.name} is made. Its quality is ${rating}${reasons.length ? `: ${reasons.join("; ")}` : ""}.${advice}`;
}

async function forgetConsent() {
  const [chosen, mine] = [at("own-consent"), own];
  forgive();
  try {
    await ask(`audio/voice_consents/${chosen.value}`, mine.key, { method: "DELETE" });
    if (own !== mine) return;
    chosen.selectedOptions[0].remove();
    makerForm.status.textContent = "The consent is deleted.";
    allowWay("kept", chosen.length > 0);
    (chosen.length ? chosen : document.querySelector("[name=way]:checked")).focus();
  } catch (failure) {
    if (own === mine) fail(failure, makerForm);
  }
}

at("own-new").addEventListener("click", openMaker);
at("cancel").addEventListener("click", cancel);
at("own-forget").addEventListener("click", forgetConsent);
at("own-language").addEventListener("change", () => {
  showPhrase();
  showHint().catch((failure) => fail(failure, makerForm));
});
at("ways").addEventListener("change", showWay);
at("maker").addEventListener("submit", (event) => {
  event.preventDefault();
  create();
});
closeOwn();
