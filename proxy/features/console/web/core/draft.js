// What is to be spoken. It outlives the page, so that other pages can fill it, and nothing typed is lost.

import { Failure } from "./api.js";
import { catalogue, hasNaturalVoices, isNaturalIn, isSpoken, modelFor, speaksOther, voiceOf } from "./catalogue.js";
import { session } from "./session.js";
import { language, t } from "./texts.js";

const MOST_WORDS = 3;
// As policies/text_tags.py has it.
const LINE = /^[ \t\ufeff*_#>-]{0,8}([^\s[\]][^[\]\n]{0,63}?)[ \t*_]{0,4}(?::[*_]{0,3}(?!\S)|\uff1a[*_]{0,3})/gm;
const EXAMPLE = "Good morning! I am one of the voices behind this server. Give me a text of your own.";

export const draft = {
  text: "",
  voice: "",
  model: "",
  // The model that the reader chose. Without one, the voice decides.
  wanted: "",
  language: "",
  format: "mp3",
  speed: 1,
  pitch: 0,
  emotion: "",
  instructions: "",
  tag: "",
  isKept: true, isChecked: false,
  // What a request that is said again has beside these: a cast or a mix in place of a voice, a seed, a lexicon, …
  more: {},
  // What is said again was just filled in.
  isAgain: false,
};
let example = "";

// A text to begin with, until its reader changes it: in their own language, if it is spoken here, by no robot alone
// where others speak. Natural voices of it may still be fetched.
export function showExample() {
  const speaks = hasNaturalVoices() ? isNaturalIn : isSpoken;
  if (draft.text === example) draft.text = example = speaks(language) ? t("speak.example") : EXAMPLE;
}

// A page of another kind of text begins without the example, which is there again if nothing was typed.
export function hideExample() {
  if (draft.text === example) draft.text = "";
}

export function keepExample() {
  draft.text ||= example;
}

export const usualVoice = () => voiceOf(session.me.preferred_voice) ?? voiceOf("alloy") ?? catalogue.voices.find(({ engines }) => engines.length);

// Once the catalogue is there: a model and a voice, unless they were chosen before.
export function chooseFirst() {
  if (!catalogue.models.some(({ id }) => id === draft.model)) draft.model = catalogue.models[0]?.id ?? "";
  if (draft.more.voice || voiceOf(draft.voice)) return;
  const first = usualVoice();
  draft.voice = (first ?? catalogue.voices[0])?.id ?? "";
  draft.model = modelFor(first, draft.wanted) ?? draft.model;
}

export function chooseVoice(voice) {
  if (speaksOther(voice, draft.language)) draft.language = "";
  Object.assign(draft, { voice: voice.id, model: modelFor(voice, draft.wanted) ?? draft.model });
}

export const keyOf = (name) => name.trim().split(/\s+/).join(" ").normalize("NFC").toLowerCase();

// What begins lines as names do: how it is written, and how often, by key.
export function namesOf(text) {
  const found = new Map();
  for (const [, written] of text.matchAll(LINE)) {
    const name = written.trim().split(/\s+/).join(" ");
    if (name.split(" ").length > MOST_WORDS || !/\p{L}/u.test(name)) continue;
    const known = found.get(keyOf(name)) ?? { name, times: 0 };
    found.set(keyOf(name), { ...known, times: known.times + 1 });
  }
  return found;
}

// The body of a speech request: fields that say nothing are left out.
export function requestOf({ text, voice, model, language, speed, pitch, emotion, instructions, tag, isChecked, more }) {
  const body = { ...more, model, voice: voice || more.voice, input: text };
  if (speed !== 1) body.speed = speed;
  if (pitch !== 0) body.pitch = pitch;
  if (language) body.language = language;
  if (emotion) body.emotion = emotion;
  if (instructions) body.instructions = instructions;
  if (tag) body.tag = tag;
  if (isChecked) body.check = "heard";
  return body;
}

// Takes a request that was made before, to be made again. Speak asks for PCM itself, so that says nothing of a file.
export function sayAgain(request, tag) {
  const { input, model, voice, language = "", response_format: format, ...others } = request;
  const { speed = 1, pitch = 0, emotion = "", instructions = "", ...more } = others;
  if (typeof voice !== "string") more.voice = voice;
  if (language === "auto") more.language = language;
  Object.assign(draft, { text: input, model, wanted: model, speed, pitch, emotion, instructions, tag, more });
  Object.assign(draft, { voice: more.voice ? "" : voice, language: more.language ? "" : language });
  draft.isAgain = true;
  if (format !== "pcm") draft.format = format;
}

const MOST_FILE_BYTES = 8 * 1024 * 1024;

// The text of a file that a person chose. Throws a Failure for what is too large, or no text.
export async function textOf(file) {
  if (file.size > MOST_FILE_BYTES) throw new Failure({ message: t("speak.too_large"), param: "input" });
  const text = await file.text();
  if (/[\0\uFFFD]/.test(text)) throw new Failure({ message: t("speak.not_text"), param: "input" });
  return text;
}
