// What was spoken last: who spoke, what is marked, and how to keep it. It stays when the page changes.

import { download, saveBlob } from "../core/api.js";
import { refreshAccount } from "../core/account.js";
import { isByRules, isOfRules, voiceName } from "../core/catalogue.js";
import { draft } from "../core/draft.js";
import { html, nothing } from "../core/lit.js";
import { icon, loaded } from "../core/page.js";
import { languageName, t } from "../core/texts.js";

let last = null;
let isSaving = false;
document.addEventListener("reader", () => { last = null; });

// `credits` is what it costs at most to have it spoken once more.
export function noteSpoken(spoken) {
  last = spoken;
}

export function formatName(format) {
  return format.startsWith("g711") ? `${format.slice(5)}, 8 kHz` : format.toUpperCase();
}

// The samples are here. Another format is made by the server, of the same request, and costs as much.
function isHere() {
  return draft.format === "wav" && last.clip.blob;
}

async function save(page) {
  if (isHere()) return saveBlob(last.clip.blob, "speech.wav");
  isSaving = true;
  page.update();
  const json = { ...last.body, response_format: draft.format };
  await download("v1/audio/speech", `speech.${draft.format}`, { json }).finally(() => {
    isSaving = false;
    page.update();
  });
  return refreshAccount();
}

function saveReceipt() {
  const id = last.headers.get("x-voxgate-replay-of") ?? last.headers.get("x-request-id");
  return download(`v1/audio/receipts/${encodeURIComponent(id)}`, "receipt.json");
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

// That another voice spoke than the one that was asked for, or a robot, and how to try once more.
function insteadLine(page, { engine, substitute, language }) {
  const { voice } = last;
  const by = (engine ?? "").split("/")[0];
  const isOther = voice && substitute?.includes("/");
  const own = voice?.engines.find((name) => name !== by && !isByRules(name));
  if (isOther ? !own : !voice || !isByRules(by) || isOfRules(voice)) return nothing;
  const facts = { model: own, voice: voiceName(substitute ?? ""), name: voice.name, language };
  const text = own && substitute ? t("speak.stood_in", facts) : t("speak.robot_read", facts);
  return html`<p class="note warn" id="speak-instead">${icon("info")}<span>${text}</span><button class="plain" id="speak-once-more" @click=${(event) => page.submit(event)}>${t("speak.once_more")}</button></p>`;
}

export function spokenCard(page) {
  if (!last) return nothing;
  const { headers, voice, first, credits } = last;
  const format = formatName(draft.format);
  const [engine, tag, substitute] = ["engine", "language", "substitute"].map((name) => headers.get(`x-voxgate-${name}`));
  const facts = { model: engine, language: languageName(tag ?? ""), ms: first };
  return html`<section class="card stack" id="speak-result" aria-labelledby="result-title">
    <div class="row apart"><h2 id="result-title">${voice?.name ?? t("voice.cast")}</h2>
      ${headers.get("x-voxgate-mark") ? html`<span class="tag good">${t("speak.marked")}</span>` : nothing}</div>
    ${insteadLine(page, { engine, substitute, language: facts.language })}
    <p class="quiet small" id="speak-by">${substitute ? t("speak.by_substitute", { ...facts, voice: voiceName(substitute) }) : t("speak.by", facts)}</p>
    ${page.alert("result")}
    <div class="row"><button id="speak-save" ?disabled=${isSaving} aria-describedby="speak-price" @click=${() => page.run("result", () => save(page))}>${icon("down")} ${t("speak.save", { format })}</button>
      <span class="quiet small" id="speak-price">${credits && !isHere() ? t("speak.anew", { credits: t("speak.credits", { n: credits }) }) : nothing}</span>
      ${KINDS.map((name) => html`<button class="plain" @click=${() => copy(page, name)}>${t("speak.copy", { name })}</button>`)}
      <button class="plain" id="speak-receipt" @click=${() => page.run("result", saveReceipt)}>${t("speak.receipt")}</button></div>
    <pre id="speak-code" tabindex="0" hidden aria-label=${t("speak.code")}></pre>
  </section>`;
}
