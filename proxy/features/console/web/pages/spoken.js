// What was spoken last: who spoke, what is marked, and how to keep it. It stays when the page changes.

import { ask, download, fileName, saveBlob } from "../core/api.js";
import { refreshAccount } from "../core/account.js";
import { baseOf, isByRules, isNaturalIn, noNatural, titleOf, voiceName, voiceOf } from "../core/catalogue.js";
import { draft } from "../core/draft.js";
import { html, nothing } from "../core/lit.js";
import { icon, loaded } from "../core/page.js";
import { languageName, t } from "../core/texts.js";

let last = null;
let isSaving = false;
let isCoded = false;
document.addEventListener("reader", () => { last = null; });

// `estimate` is what the page was told of the request, if it was.
export function noteSpoken(spoken) {
  last = spoken;
  const speaker = spoken.voice && voiceOf(spoken.headers.get("x-voxgate-substitute"));
  if (!speaker) return;
  spoken.speaker = speaker;
  Object.assign(spoken.clip, { title: titleOf(speaker), name: fileFor(spoken, "wav") });
}

export const lastClip = () => last?.clip;

// Who is heard: a voice, or the names of a cast.
export function titleFor({ voice: { cast } }, voice) {
  if (voice) return titleOf(voice);
  return cast ? Object.keys(cast).join(", ") : t("voice.cast");
}

// It is named after the voice that spoke, which may be another than was asked for.
export const fileFor = ({ body, voice, speaker = voice }, format) => fileName(titleFor(body, speaker), body.input, format);

export function formatName(format) {
  return format.startsWith("g711") ? `${format.slice(5)}, 8 kHz` : format.toUpperCase();
}

// The sound in the chosen format, if it is here. Another one is made by the server, of the same request, and costs as
// much, once.
const soundHere = () => last.files?.[draft.format] ?? (draft.format === "wav" && last.clip.blob);

async function save(page) {
  const [spoken, format, here] = [last, draft.format, soundHere()];
  if (here) return saveBlob(here, fileFor(spoken, format));
  isSaving = true;
  page.update();
  try {
    const made = await (await ask("v1/audio/speech", { json: { ...spoken.body, response_format: format } })).blob();
    spoken.files = { ...spoken.files, [format]: made };
    saveBlob(made, fileFor(spoken, format));
  } finally {
    isSaving = false;
    page.update();
  }
  return refreshAccount();
}

const KINDS = ["curl", "Python", "JavaScript"];

async function copy(page, name) {
  const { body } = last;
  const module = await loaded(() => import("../core/code.js"));
  if (!module) return;
  const code = module.CODE[name](body, draft.format);
  const place = page.place.querySelector("#speak-code");
  try {
    await navigator.clipboard.writeText(code);
    page.say(t("speak.copied"));
  } catch {
    // Without TLS only this machine may write the clipboard: the code is shown and marked instead.
    place.textContent = code;
    place.hidden = false;
    getSelection().selectAllChildren(place);
    place.focus();
  }
}

// Why another voice speaks than the one that was asked for, by an estimate.
export function substituteText({ voice, substitute, substitute_reason: reason, installed }) {
  return substitute && t(`speak.substitute.${reason}`, { name: titleOf(voiceOf(voice) ?? { name: voice }), voice: voiceName(substitute), percent: `${Math.round(100 * installed)}\u00a0%` });
}

// That a robot spoke, or another voice than the one that was asked for, and why. Null if neither did.
function insteadOf({ voice, headers, estimate }) {
  const [engine, tag = "", substitute] = ["engine", "language", "substitute"].map((name) => headers.get(`x-voxgate-${name}`) ?? undefined);
  const name = voice && titleOf(voice);
  const [by] = (engine ?? "").split("/");
  const isRobot = by.split("+").some(isByRules);
  if (substitute && estimate?.substitute_reason === "installing") return { isRobot, isLate: false, name, tag, why: substituteText(estimate) };
  const own = voice?.engines.find((name) => name !== by && !isByRules(name));
  // Another name of a voice is no other speaker, unless a robot has it.
  const isLate = own && isNaturalIn(tag) && (isRobot ? substitute : substitute?.includes("/"));
  if (isRobot ? isNaturalIn(tag) && voice && !isLate : !isLate) return null;
  const why = isRobot ? (isLate ? t("speak.late", { name }) : noNatural(tag)) : t("speak.stood_in", { voice: voiceName(substitute), name });
  return { isRobot, isLate, name, tag, why };
}

// Whether the card says already that only robots speak this language.
export function isRobotTold(tag) {
  const told = last && insteadOf(last);
  return Boolean(told?.isRobot && !told.isLate && baseOf(told.tag) === baseOf(tag));
}

function insteadLine(page) {
  const told = insteadOf(last);
  return told && html`<div class="note warn" id="speak-instead">${icon("info")}<span>${told.isRobot ? html`<strong>${t("speak.robot_read")}</strong> ` : nothing}${told.why}</span>
    ${told.isLate ? html`<button id="speak-with" @click=${() => page.sayAgain(last)}>${t("speak.again_with", { name: told.name })}</button>` : nothing}</div>`;
}

export function spokenCard(page) {
  if (!last) return nothing;
  const { headers, clip, first, estimate } = last;
  const format = formatName(draft.format);
  const [engine, tag, substitute] = ["engine", "language", "substitute"].map((name) => headers.get(`x-voxgate-${name}`));
  const facts = { model: engine, language: languageName(tag ?? ""), ms: first };
  return html`<section class="card stack" id="speak-result" aria-labelledby="result-title">
    <div class="row apart"><h2 id="result-title">${clip.title}</h2>
      ${headers.get("x-voxgate-mark") ? html`<span class="tag good">${t("speak.marked")}</span>` : nothing}</div>
    ${insteadLine(page)}
    <div class="player stack" id="speak-player"></div>
    ${page.alert("result")}
    <div class="row steps"><button id="speak-save" ?disabled=${isSaving} aria-describedby="speak-price" @click=${() => page.run("result", () => save(page))}>${icon("down")} ${t("speak.save", { format })}</button>
      <button class="plain" id="speak-once-more" @click=${() => page.sayAgain(last)}>${t("speak.once_more")}</button>
      <button class="plain" aria-expanded=${isCoded} aria-controls="speak-codes" @click=${() => { isCoded = !isCoded; page.update(); }}>${t("speak.as_code")}</button></div>
    <div class="stack" id="speak-codes" ?hidden=${!isCoded}><div class="row steps">${KINDS.map((name) => html`<button class="plain" @click=${() => copy(page, name)}>${t("speak.copy", { name })}</button>`)}</div>
      <pre id="speak-code" tabindex="0" hidden aria-label=${t("speak.code")}></pre></div>
    <p class="quiet small"><span id="speak-by">${substitute ? t("speak.by_substitute", { ...facts, voice: voiceName(substitute) }) : t("speak.by", facts)}</span>
      <span id="speak-price">${estimate?.credits && !soundHere() ? t("speak.anew", { format, credits: t("speak.credits", { n: estimate.credits }) }) : nothing}</span></p>
  </section>`;
}
