// What the pages of voices share: whose a voice is, its state in words, and how it is used.

import { read } from "../core/api.js";
import { catalogue } from "../core/catalogue.js";
import { chooseVoice } from "../core/draft.js";
import { html, nothing } from "../core/lit.js";
import { icon } from "../core/page.js";
import { session } from "../core/session.js";
import { day, languageName, t } from "../core/texts.js";

const SOON_S = 7 * 86_400;
export const RATINGS = { high: "good", medium: "", low: "warn" };
let mine = new Set();

// A cast that the operator saved for everybody looks like one's own, so the server is asked.
export async function readMine() {
  mine = new Set((await read("v1/audio/voices", { query: { mine: true, format: "names" } })).data);
}

export function isMine({ id }) {
  return mine.has(id);
}

export function useVoice(voice) {
  chooseVoice(voice);
  location.hash = "#/speak";
}

export function expiryTag({ expires_at: ends }) {
  if (!ends || ends - Date.now() / 1000 > SOON_S) return nothing;
  return html`<span class="tag warn">${t("voices.expires", { day: day(ends) })}</span>`;
}

export function cloneState({ state }) {
  const word = state === "wanted" ? "making" : state;
  return t(`voices.clone.${word}`);
}

export function isInWork({ state }) {
  return ["wanted", "making"].includes(state);
}

// Tags of what a voice is made of: its quality, its models, and its clones that cannot speak yet.
export function stateTags({ quality, trained = [], clones = [], type }) {
  const tags = [];
  if (type === "mix") tags.push(html`<span class="tag">${t("voices.mix")}</span>`);
  if (quality) tags.push(html`<span class="tag ${RATINGS[quality.rating]}">${t(`voices.quality.${quality.rating}`)}</span>`);
  if (trained.length) tags.push(html`<span class="tag good">${t("voices.trained")}</span>`);
  for (const clone of clones) {
    if (clone.state !== "ready") tags.push(html`<span class="tag ${isInWork(clone) ? "" : "warn"}">${clone.engine}: ${cloneState(clone)}</span>`);
  }
  return tags;
}

// Nothing here speaks a recording, in this language or in any, and what helps. The server ends its words by a command.
export function hintNote(hint, id, language) {
  const [, command] = hint.split(/ can add it with: /);
  const mute = language ? t("voices.mute_in", { language: languageName(language) }) : t("voices.mute");
  return html`<p class="note warn" id=${id} role="status">${icon("info")}<span>${mute} ${hint.includes("'engines'") ? t("voices.mute_clone") : nothing}
    ${command ? html`${t("word.remedy")} <code>${command}</code>` : nothing}</span></p>`;
}

// The engines that speak with clones of their own, which have to be ordered.
export function cloners() {
  return [...new Set(catalogue.models.filter(({ clones }) => clones).map(({ owned_by: owner }) => owner))];
}

// Nothing here can speak a recording, clone it or learn from it: it would be given for nothing.
export function isUseless() {
  return Boolean(catalogue.hint) && !catalogue.models.some(({ clones, trains }) => clones || trains);
}

// What a clone costs at most: a clone by the server's own engine costs nothing.
export function clonePrice() {
  return session.me?.prices.clone.credits ?? 0;
}
