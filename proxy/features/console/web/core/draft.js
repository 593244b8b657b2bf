// What is to be spoken. It outlives the page, so that other pages can fill it, and nothing typed is lost.

import { catalogue, modelFor, speaksOther, voiceOf } from "./catalogue.js";
import { session } from "./session.js";

export const draft = {
  text: "",
  voice: "",
  model: "",
  language: "",
  format: "mp3",
  speed: 1,
  pitch: 0,
  emotion: "",
  instructions: "",
  tag: "",
  isKept: true,
};

// Once the catalogue is there: a model and a voice, unless they were chosen before.
export function chooseFirst() {
  if (!catalogue.models.some(({ id }) => id === draft.model)) draft.model = catalogue.models[0]?.id ?? "";
  if (voiceOf(draft.voice)) return;
  const first = voiceOf(session.me.preferred_voice) ?? voiceOf("alloy") ?? catalogue.voices.find(({ engines }) => engines.length);
  draft.voice = (first ?? catalogue.voices[0])?.id ?? "";
  draft.model = modelFor(first, draft.model);
}

export function chooseVoice(voice) {
  if (speaksOther(voice, draft.language)) draft.language = "";
  Object.assign(draft, { voice: voice.id, model: modelFor(voice, draft.model) });
}

// The body of a speech request: fields that say nothing are left out.
export function requestOf({ text, voice, model, language, speed, pitch, emotion, instructions, tag }) {
  const body = { model, voice, input: text };
  if (speed !== 1) body.speed = speed;
  if (pitch !== 0) body.pitch = pitch;
  if (language) body.language = language;
  if (emotion) body.emotion = emotion;
  if (instructions) body.instructions = instructions;
  if (tag) body.tag = tag;
  return body;
}
