// The voices and models of the caller, read once, and what the page tells of them.

import { read } from "./api.js";
import { languageName, t } from "./texts.js";

export const catalogue = { voices: [], models: [], hint: "", titles: new Map() };
const MOST_NAMED = 6;
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
  catalogue.titles = Map.groupBy(catalogue.voices.filter(isShown), titleOf);
}

export function voiceOf(id) {
  return catalogue.voices.find((voice) => voice.id === id);
}

// The name of a person: Heart for af_heart.
export function titleOf({ name, title }) {
  return title || name;
}

// Where a request is told of, the name that it had, but for an engine's own id. Where names are alike, sex and language tell
// the voices apart.
export function voiceName(id) {
  const voice = voiceOf(id);
  if (!voice) return id;
  const name = id.includes("/") ? titleOf(voice) : voice.name;
  const people = catalogue.titles.get(name)?.map((each) => String(personOf(each)));
  return new Set(people).size > 1 ? [name, ...personOf(voice)].join(", ") : name;
}

export function personOf({ gender, language }) {
  return [gender && t(`gender.${gender}`), language && languageName(language)].filter(Boolean);
}

// The same for lists, and the engine where another one has such a voice of the same name.
export function personIn(voice) {
  const [person, { engines: [engine] }] = [personOf(voice), voice];
  const isAlike = (each) => each.engines[0] !== engine && String(personOf(each)) === String(person);
  return catalogue.titles.get(titleOf(voice))?.some(isAlike) ? [...person, engine] : person;
}

// Whether a list for people shows the voice: each speaker once, under one name.
export function isShown({ id, shown_as: shown }) {
  return !shown || shown === id;
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

function tagsOf(models) {
  return models.flatMap(({ spoken_languages: tags = [] }) => tags);
}

// The group of a voice in lists: its key in the texts.
export function groupOf(voice) {
  if (isOwn(voice)) return "own";
  return isOfRules(voice) ? "rules" : "natural";
}

function natureOf({ engines, type }) {
  const models = catalogue.models.filter(({ owned_by: owner }) => engines.includes(owner));
  if (!models.length || type === "cast") return "";
  const natural = models.filter(({ is_trained: isTrained, speaks }) => isTrained && speaks !== false);
  if (!natural.length) return t("voice.rules");
  const tags = tagsOf(natural);
  if (tags.includes("*") || !models.some(({ owned_by: owner }) => isByRules(owner))) return t("voice.natural");
  const names = [...new Set(tags.map(baseOf))].map(languageName).sort((a, b) => a.localeCompare(b));
  return t("voice.partly", { languages: [...names.slice(0, MOST_NAMED), ...(names.length > MOST_NAMED ? ["…"] : [])].join(", ") });
}

export function factsOf(voice) {
  if (!voice.engines.length) return [t("voice.unspoken")];
  const facts = [
    voice.type === "cast" && t("voice.cast"),
    ...personIn(voice),
    natureOf(voice),
  ];
  return facts.filter(Boolean);
}

// What was measured of its sample, in words.
export function soundOf({ pitch, pace }) {
  return [pitch && t(`pitch.${pitch}`), pace && t(`pace.${pace}`)].filter(Boolean);
}

// A recording tells how a person sounds: such a voice speaks what its engine can.
export function speaksOther(voice, tag) {
  return tag && voice.language && voice.type !== "audio_sample" && baseOf(voice.language) !== baseOf(tag);
}

// The words of a text as they are compared: without capitals and accents. The marks of Thai stay.
export function wordsOf(text) {
  return text.toLowerCase().normalize("NFD").replace(/[\u0300-\u036f]/g, "").split(/[^\p{L}\p{M}\p{N}]+/u).filter(Boolean);
}

// These are written without blanks.
const WHOLE = /[\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Myanmar}\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}]/u;

// Whether each of the words begins a word that is known of the voice, or is in one where no blanks are.
export function isFound(voice, { words, language, gender }) {
  if (speaksOther(voice, language) || (gender && voice.gender !== gender)) return false;
  const { id, name, title, description, tags, language: tag, gender: sex } = voice;
  const known = [id, name, title, description, tag, tag && languageName(tag), ...tags, ...soundOf(voice)];
  if (sex) known.push(t(`gender.${sex}`), t(`gender.words.${sex}`));
  const sought = wordsOf(known.filter(Boolean).join(" "));
  return words.every((word) => sought.some((each) => (WHOLE.test(word) ? each.includes(word) : each.startsWith(word))));
}

// Before the catalogue is there, nothing is known to be missing.
export function canConvert() {
  const owners = catalogue.models.filter(({ converts }) => converts).map(({ owned_by: owner }) => owner);
  return !catalogue.models.length || catalogue.voices.some(({ engines, type }) => type !== "cast" && engines.some((engine) => owners.includes(engine)));
}

// Some models speak for jobs alone.
export function speakingModels(isForJobs = false) {
  return catalogue.models.filter(({ speaks, jobs_only: isOfJobs }) => speaks !== false && (isForJobs || !isOfJobs));
}

// An alias may lead to an engine that cannot speak a voice of one engine, or of recordings. Any other voice is
// spoken in more languages by an alias: by the engine that is best at each. The model that is wanted is taken if it
// fits, else the server's default, which is the first of all. Undefined if none does.
export function modelFor(voice, wanted) {
  const models = [...speakingModels(), ...speakingModels(true)];
  const own = models.filter(({ owned_by: owner }) => voice?.engines.includes(owner));
  const isOfMany = voice && (voice.type === "cast" || (voice.type === "catalogue" && voice.engines.length > 1));
  const aliases = isOfMany ? models.filter(({ owned_by: owner }) => owner === "voxgate") : [];
  const fitting = [...aliases, ...own].map(({ id }) => id);
  return [wanted, catalogue.models[0]?.id].find((id) => fitting.includes(id)) ?? fitting[0];
}

export function isSpoken(tag) {
  const tags = tagsOf(catalogue.models);
  return !tags.length || tags.some((each) => each === "*" || baseOf(each) === baseOf(tag));
}

const naturalModels = () => catalogue.models.filter(({ is_trained: isTrained, speaks }) => isTrained && speaks !== false);

export const hasNaturalVoices = () => naturalModels().length > 0;

export function isNaturalIn(tag) {
  return tagsOf(naturalModels()).some((each) => each === "*" || rootOf(each) === rootOf(tag));
}

// That only robots speak a language, or "".
export function noNatural(tag) {
  return isNaturalIn(tag) ? "" : t("speak.no_natural", { language: languageName(baseOf(tag)) });
}

// Languages that have several codes are one to a reader.
const ROOTS = { nb: "no", nn: "no", cmn: "zh" };
const rootOf = (tag) => ROOTS[baseOf(tag)] ?? baseOf(tag);

// The languages to choose from, as pairs of tag and name: those that are spoken naturally, and a group of those that
// only robots speak. Each language is there once, and with an accent if a natural voice has it.
export function languageChoices(more = []) {
  const own = catalogue.voices.filter((voice) => voice.engines.length && !isOfRules(voice)).map(({ language }) => language);
  const natural = [...tagsOf(naturalModels()), ...own].filter(Boolean);
  const likely = natural.includes("*") ? navigator.languages : [];
  const robots = tagsOf(catalogue.models).filter((tag) => tag !== "*");
  const spoken = namedByRoot([...natural.filter((tag) => tag !== "*"), ...likely], true);
  const others = namedByRoot(robots, false).filter(([tag]) => !spoken.some(([each]) => rootOf(each) === rootOf(tag)));
  const known = [...spoken, ...others].map(([tag]) => tag);
  const chosen = [...new Set(more)].filter((tag) => tag && !known.includes(tag)).map((tag) => [tag, languageName(tag)]);
  const listed = [...spoken, ...chosen].sort(byName);
  return others.length && listed.length ? [...listed, [t("picker.rules"), others]] : [...listed, ...others];
}

const byName = ([, one], [, other]) => one.localeCompare(other);

function namedByRoot(tags, hasAccents) {
  const roots = new Map();
  for (const tag of new Set(tags)) roots.set(rootOf(tag), [...(roots.get(rootOf(tag)) ?? []), tag]);
  const named = [...roots].flatMap(([root, all]) => {
    const [plain] = all.toSorted((one, other) => one.length - other.length);
    const accents = hasAccents ? all.filter((tag) => tag.includes("-")) : [];
    if (accents.length === 1) return [[accents[0], languageName(accents[0])]];
    return [[baseOf(plain), languageName(root)], ...accents.map((tag) => [tag, languageName(tag)])];
  });
  return named.sort(byName);
}
