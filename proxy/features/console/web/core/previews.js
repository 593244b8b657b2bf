// Short sounds of voices. One thing is heard at a time, and a second press stops what the first began.

import { ask } from "./api.js";
import { modelFor, titleOf } from "./catalogue.js";
import { draft } from "./draft.js";
import { html, nothing } from "./lit.js";
import { icon } from "./page.js";
import { player } from "./player.js";
import { t } from "./texts.js";

let running = null;

async function hear(page, voice, language) {
  const isStop = running?.voice === voice;
  running?.aborter.abort();
  const turn = player.claim();
  running = null;
  page.say(isStop ? t("speak.stopped") : t("preview.asking", { name: titleOf(voice) }));
  if (isStop) return;
  const mine = (running = { voice, aborter: new AbortController() });
  try {
    const sample = voice.sample?.slice(1);
    const query = sample ? {} : { model: modelFor(voice, draft.wanted) ?? draft.model, response_format: "wav", language: voice.language ? "" : language || draft.language };
    const path = sample ?? `v1/audio/voices/${encodeURIComponent(voice.id)}/preview`;
    const blob = await (await ask(path, { query, signal: mine.aborter.signal })).blob();
    if (running !== mine) return;
    page.say("");
    await player.play({ title: titleOf(voice), name: `${titleOf(voice)}.${sample ? "mp3" : "wav"}` }, blob, turn);
  } finally {
    if (running === mine) running = null;
    page.update();
  }
}

// A button that plays a voice. In a list, "Play" alone does not tell whom. A voice of many languages speaks this one.
// Without a sample it costs as speech does; while the server is still to make one, there is no button.
export function previewButton(page, form, voice, language = "") {
  if (voice.sample === null) return nothing;
  const isRunning = running?.voice === voice;
  const name = titleOf(voice);
  const label = isRunning ? t("preview.stop", { name }) : t("preview.play", { name });
  return html`<button type="button" class="round" aria-label=${label} title=${voice.sample ? nothing : t("preview.costs")} ?disabled=${!voice.engines.length}
    @click=${() => page.run(form, () => hear(page, voice, language))}>${icon(isRunning ? "stop" : "play")}</button>`;
}
