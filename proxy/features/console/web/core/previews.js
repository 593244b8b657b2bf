// Short sounds of voices. One thing is heard at a time, and a second press stops what the first began.

import { ask } from "./api.js";
import { modelFor } from "./catalogue.js";
import { draft } from "./draft.js";
import { html } from "./lit.js";
import { icon } from "./page.js";
import { player } from "./player.js";
import { t } from "./texts.js";

let running = null;

async function hear(page, voice, language) {
  const isStop = running?.voice === voice;
  running?.aborter.abort();
  const turn = player.claim();
  running = null;
  page.say(isStop ? t("speak.stopped") : t("preview.asking", { name: voice.name }));
  if (isStop) return;
  const mine = (running = { voice, aborter: new AbortController() });
  try {
    const query = { model: modelFor(voice, draft.wanted) ?? draft.model, response_format: "wav", language: voice.language ? "" : language || draft.language };
    const path = `v1/audio/voices/${encodeURIComponent(voice.id)}/preview`;
    const blob = await (await ask(path, { query, signal: mine.aborter.signal })).blob();
    if (running !== mine) return;
    page.say("");
    await player.play({ title: voice.name, name: `${voice.name}.wav` }, blob, turn);
  } finally {
    if (running === mine) running = null;
    page.update();
  }
}

// A button that plays a voice. In a list, "Play" alone does not tell whom. A voice of many languages speaks this one.
export function previewButton(page, form, voice, language = "") {
  const isRunning = running?.voice === voice;
  const label = isRunning ? t("preview.stop", { name: voice.name }) : t("preview.play", { name: voice.name });
  return html`<button type="button" class="round" aria-label=${label} ?disabled=${!voice.engines.length}
    @click=${() => page.run(form, () => hear(page, voice, language))}>${icon(isRunning ? "stop" : "play")}</button>`;
}
