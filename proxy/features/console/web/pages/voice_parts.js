// What the pages of voices share: whose a voice is, its state in words, and how it is used.

import { read } from "../core/api.js";
import { catalogue, soundOf, titleOf, voiceOf } from "../core/catalogue.js";
import { chooseVoice } from "../core/draft.js";
import { html, nothing } from "../core/lit.js";
import { icon } from "../core/page.js";
import { isOperator, session } from "../core/session.js";
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

// Nothing here speaks a recording, in this language or in any, and what helps. The server ends its words by a command,
// which is for operators.
export function hintNote(hint, id, language) {
  const [, command] = hint.split(/ can add it with: /);
  const mute = language ? t("voices.mute_in", { language: languageName(language) }) : t("voices.mute");
  return html`<p class="note warn" id=${id} role="status">${icon("info")}<span>${mute} ${hint.includes("'engines'") ? t("voices.mute_clone") : nothing}
    ${command && isOperator() ? html`${t("word.remedy")} <code>${command}</code>` : nothing}</span></p>`;
}

// A voice that was just made speaks by itself, once.
let made = "";
export const noteMade = (id) => (made = id);
export function wasMade(id) {
  const isIt = id === made;
  if (isIt) made = "";
  return isIt;
}

// Operators alone can add a model that speaks recordings.
export const operatorNote = (hint, id, language) => (hint && isOperator() ? hintNote(hint, id, language) : nothing);

// The words for its sound, which were measured.
export const soundTags = (voice) => soundOf(voice).map((word) => html`<span class="tag">${word}</span>`);

// Favourites belong to an account of which somebody signs in.
export const canStar = () => session.server.sign_in !== "closed";

export function isStarred({ id }) {
  return session.me?.favourite_voices?.includes(id) ?? false;
}

// What was deleted meanwhile takes no place.
async function star(page, voice) {
  const others = session.me.favourite_voices.filter((id) => id !== voice.id && voiceOf(id));
  session.me = await read("v1/me", { json: { favourite_voices: isStarred(voice) ? others : [...others, voice.id] } });
  page.update();
}

export function starButton(page, form, voice) {
  if (!canStar() || !session.me) return nothing;
  return html`<button type="button" class="round plain star" aria-pressed=${isStarred(voice)} aria-label=${t("voices.star", { name: titleOf(voice) })}
    @click=${() => page.run(form, () => star(page, voice))}>${icon("star")}</button>`;
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
