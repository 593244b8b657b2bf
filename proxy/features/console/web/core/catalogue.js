// The voices and models of the caller, read once, and what the page tells of them.

import { read } from "./api.js";
import { languageName, t } from "./texts.js";

export const catalogue = { voices: [], models: [], hint: "" };
let reading = null;
// Which reading counts: the answers of an earlier one are dropped.
let turn = 0;

// The first page that needs them has them read, and another page at the same time waits for the same answer.
export function loadCatalogue() {
  const mine = turn;
  reading ??= readAll().catch((failure) => {
    if (mine === turn) reading = null;
    throw failure;
  });
  return reading;
}

// A voice was made or deleted, or there is another reader.
export function forgetCatalogue() {
  reading = null;
  turn += 1;
}
document.addEventListener("reader", forgetCatalogue);

async function readAll() {
  const mine = turn;
  const [listed, known] = await Promise.all([read("v1/audio/voices"), read("v1/models")]);
  if (mine !== turn) return;
  Object.assign(catalogue, { models: known.data, hint: listed.hint ?? "" });
  catalogue.voices = listed.data.toSorted((a, b) => rankOf(a) - rankOf(b));
}

export function voiceOf(id) {
  return catalogue.voices.find((voice) => voice.id === id);
}

export function voiceName(id) {
  return voiceOf(id)?.name ?? id;
}

export function baseOf(tag) {
  return tag.split("-")[0].toLowerCase();
}

export function isOwn({ type, id }) {
  return type !== "catalogue" && id.startsWith("voice_");
}

// Whether an engine learned from no recording, whatever its section is called.
export function isByRules(engine) {
  const own = catalogue.models.filter(({ owned_by: owner }) => owner === engine);
  return own.length > 0 && own.every(({ is_trained: isTrained }) => !isTrained);
}

export function isOfRules({ engines }) {
  return engines.length > 0 && engines.every(isByRules);
}

// The account's own voices, then names such as OpenAI's, the engines' natural voices, and those by rules.
function rankOf(voice) {
  if (isOwn(voice)) return 0;
  if (!voice.id.includes("/")) return 1;
  return isOfRules(voice) ? 3 : 2;
}

// The group of a voice in lists: its key in the texts.
export function groupOf(voice) {
  if (isOwn(voice)) return "own";
  return isOfRules(voice) ? "rules" : "natural";
}

function natureOf({ engines, type }) {
  const known = engines.filter((engine) => catalogue.models.some(({ owned_by: owner }) => owner === engine));
  if (!known.length || type === "cast") return "";
  if (known.every(isByRules)) return t("voice.rules");
  return known.some(isByRules) ? t("voice.partly") : t("voice.natural");
}

export function factsOf(voice) {
  if (!voice.engines.length) return [t("voice.unspoken")];
  const same = voice.alias_of && t("voice.same", { name: voiceName(voice.alias_of) });
  const facts = [
    voice.type === "cast" && t("voice.cast"),
    voice.gender && t(`gender.${voice.gender}`),
    voice.language && languageName(voice.language),
    same || (voice.id.includes("/") && voice.id.split("/")[0]),
    natureOf(voice),
  ];
  return facts.filter(Boolean);
}

// A recording tells how a person sounds: such a voice speaks what its engine can.
export function speaksOther(voice, tag) {
  return tag && voice.language && voice.type !== "audio_sample" && baseOf(voice.language) !== baseOf(tag);
}

export function isFound(voice, { words, language, gender }) {
  if (speaksOther(voice, language) || (gender && voice.gender !== gender)) return false;
  const known = [voice.language && languageName(voice.language), voice.language, ...voice.tags].filter(Boolean);
  const sought = [voice.id, voice.name, voice.description, ...known].join(" ").toLowerCase();
  return words.every((word) => sought.includes(word));
}

// An alias may lead to an engine that cannot speak a voice of recordings. Several engines speak a cast.
export function modelFor(voice, model) {
  const own = catalogue.models.filter(({ owned_by: owner }) => voice?.engines.includes(owner)).map(({ id }) => id);
  if (!voice || voice.type === "cast" || !own.length || own.includes(model)) return model;
  return own[0];
}

// The languages to choose from: those of the voices, of the reader, and further ones.
export function languageChoices(more = []) {
  const tags = [...catalogue.voices.map((voice) => voice.language), ...navigator.languages, ...more];
  const named = [...new Set(tags.filter(Boolean))].map((tag) => [tag, languageName(tag)]);
  return named.sort(([, a], [, b]) => a.localeCompare(b));
}
