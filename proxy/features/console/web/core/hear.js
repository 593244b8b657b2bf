// Short sounds: a voice, or speech that a page asks for, such as a word of a lexicon. One thing is heard at a time, and
// a second press stops what the first began.

import { refreshAccount } from "./account.js";
import { ask, fileName } from "./api.js";
import { groupOf, titleOf } from "./catalogue.js";
import { html, nothing } from "./lit.js";
import { icon } from "./page.js";
import { player } from "./player.js";
import { t } from "./texts.js";

let running = null;

export async function hear(page, { id, title, name = fileName(title, "", "wav"), load, isFree = false }) {
  const isStop = running?.id === id;
  running?.aborter.abort();
  const turn = player.claim();
  running = null;
  page.say(isStop ? t("speak.stopped") : t("preview.asking", { name: title }));
  if (isStop) return;
  const mine = (running = { id, aborter: new AbortController() });
  try {
    const blob = await (await load(mine.aborter.signal)).blob();
    if (running !== mine) return;
    page.say("");
    await player.play({ title, name }, blob, turn);
  } finally {
    if (running === mine) running = null;
    page.update();
    if (!isFree) refreshAccount();
  }
}

// `sound` has an `id`, its `title`, and `load`, which asks for it, or `json`, which returns the request for speech. With
// a `text`, that is on the button; a `tip` is told of a sound that is not free.
export function hearButton(page, form, { text = "", tip = nothing, json, ...sound }, isDisabled = false) {
  const isRunning = running?.id === sound.id;
  const label = text || t(isRunning ? "preview.stop" : "preview.play", { name: sound.title });
  const load = (signal) => ask("v1/audio/speech", { json: { ...json(), response_format: "wav" }, signal });
  return html`<button type="button" class=${text ? "" : "round"} aria-label=${label} title=${tip} ?disabled=${isDisabled}
    @click=${() => page.run(form, () => hear(page, { load, ...sound }))}>${icon(isRunning ? "stop" : "play")} ${text}</button>`;
}

// Opens the list of voices. The page's `voice` is the one that is chosen.
export function voiceButton(page, id, onChoice) {
  const { voice } = page;
  const name = voice ? titleOf(voice) : t("speak.no_voice");
  return html`<button type="button" class="pick" id=${id} ?disabled=${!voice} @click=${() => page.openPicker(onChoice, () => page.voice?.id)}>
    <span class="face ${voice ? groupOf(voice) : ""}" aria-hidden="true">${[...name][0]?.toUpperCase()}</span>
    <span class="name"><span class="skip">${t("speak.voice")} </span>${name}</span></button>`;
}
