// The sentences of a training: one is read after the other, sent at once, and judged by the server.

import { note } from "./job_facts.js";
import { RATINGS } from "./voice_parts.js";
import { ask, read } from "../core/api.js";
import { mayUpload } from "../core/door.js";
import { html, nothing } from "../core/lit.js";
import { languageName, t } from "../core/texts.js";

const MOST = 25;
export const LANGUAGES = ["en", "pt", "es", "th"];

export function send(page) {
  return page.run("train", async () => {
    if (page.isSending || !(await mayUpload()) || page.isLeft) return;
    page.set({ isSending: true, latest: null });
    page.say(t("train.sending"));
    const { quality } = await keep(page).finally(() => {
      page.set({ isSending: false, status: "" });
      page.recorder.focus();
    });
    page.recorder.clear();
    page.set({ latest: { quality, number: page.index + 1 } });
    // What was poor is read again at once, and the others one after the other.
    if (quality.rating !== "low") page.goOn();
  }, ["file"]);
}

// A sentence that is read again takes the place of its recording. With no place left, that one has to go first.
async function keep(page) {
  const prompt = page.prompts.data[page.index];
  const before = page.sampleOf(prompt);
  const path = `${page.url}/samples`;
  const drop = () => ask(`${path}/${encodeURIComponent(before.id)}`, { method: "DELETE" });
  const isFull = page.samples.filter(({ training }) => !training).length >= MOST;
  const fields = { emotion: "neutral", ref_text: prompt.text, file: page.recorder.take };
  try {
    if (before && isFull) await drop();
    const made = await read(path, { form: fields, headers: page.once.of({ ...fields, before: before?.id }) });
    if (before && !isFull) await drop();
    return made;
  } finally {
    await page.readSamples();
    if (before && !page.sampleOf(prompt)) page.set({ latest: { number: page.index + 1 } });
  }
}

export function sentencesCard(page) {
  const { prompts, samples, index, recorder } = page;
  const prompt = prompts.data[index];
  const choose = (language) => {
    page.set({ language, latest: null });
    page.run("train", () => page.readPrompts());
  };
  return html`<section class="card stack" id="train-read" aria-labelledby="train-read-title">
    <div class="row apart"><h2 id="train-read-title">${t("train.read")}</h2><span class="num small" id="train-count">${t("train.count", { done: samples.length, needed: prompts.needed })}</span></div>
    <progress max=${prompts.needed} value=${Math.min(samples.length, prompts.needed)} aria-label=${t("train.read")}></progress>
    ${page.choice("train", "language", t("speak.language"), { value: page.language, options: LANGUAGES.map((tag) => [tag, languageName(tag)]), disabled: page.isSending, change: choose })}
    <p class="quiet small" id="train-number">${t("train.sentence", { n: index + 1, of: prompts.data.length })}</p>
    <p class="sentence" id="train-sentence" lang=${prompts.language}>${prompt.text}</p>
    ${recorder.view(t("train.recording"), t("train.hint"), page.isSending)}
    ${recorder.take && !page.isSending ? html`<div class="row"><button type="button" id="train-send" @click=${() => send(page)}>${t("train.send")}</button></div>` : nothing}
    ${page.statusLine()}
    <div role="status">${judged(page)}</div>
    <details id="train-list"><summary>${t("train.all")}</summary><ol class="rows" lang=${prompts.language}>${prompts.data.map((each, at) => row(page, each, at))}</ol></details>
  </section>`;
}

// What the server says of the last recording.
function judged({ latest }) {
  if (!latest) return nothing;
  const { number: n, quality } = latest;
  if (!quality) return note(t("train.lost", { n }), "warn", "train-judged");
  const { rating, reasons } = quality;
  const text = html`${t("train.kept", { n, quality: t(`voices.quality.${rating}`) })} <span lang="en">${reasons.join(" ")}</span>`;
  return note(text, RATINGS[rating] || "calm", "train-judged");
}

function row(page, prompt, at) {
  const sample = page.sampleOf(prompt);
  const go = () => {
    page.recorder.clear();
    page.set({ index: at });
    page.recorder.focus();
  };
  return html`<li><button type="button" class="plain wide" aria-current=${at === page.index ? "true" : nothing} ?disabled=${page.isSending} @click=${go}>
    <span class="num">${at + 1}</span> <span class="name">${prompt.text}</span></button>
    ${sample ? html`<span class="tag ${RATINGS[sample.quality.rating]}" lang=${document.documentElement.lang}>${t(`voices.quality.${sample.quality.rating}`)}</span>` : nothing}</li>`;
}
