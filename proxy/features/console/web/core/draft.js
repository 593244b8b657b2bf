// What is to be spoken. It outlives the page, so that other pages can fill it, and nothing typed is lost.

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
