// Buttons that play a voice: its sample, or else a preview, which costs as speech does.

import { ask } from "./api.js";
import { modelFor, titleOf } from "./catalogue.js";
import { draft } from "./draft.js";
import { hearButton } from "./hear.js";
import { nothing } from "./lit.js";
import { t } from "./texts.js";

// A voice of many languages speaks this one.
export function previewOf(voice, language = "") {
  const [title, sample] = [titleOf(voice), voice.sample?.slice(1)];
  const query = () => ({ model: modelFor(voice, draft.wanted) ?? draft.model, response_format: "wav", language: voice.language ? "" : language || draft.language });
  const load = (signal) => (sample ? ask(sample, { signal }) : ask(`v1/audio/voices/${encodeURIComponent(voice.id)}/preview`, { query: query(), signal }));
  return { id: voice.id, title, name: `${title}.${sample ? "mp3" : "wav"}`, load, isFree: Boolean(sample), tip: sample ? nothing : t("preview.costs") };
}

// In a list, "Play" alone does not tell whom. While the server is still to make a sample, there is no button.
export function previewButton(page, form, voice, language = "") {
  return voice.sample === null ? nothing : hearButton(page, form, previewOf(voice, language), !voice.engines.length);
}
