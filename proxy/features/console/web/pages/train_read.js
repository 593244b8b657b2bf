// The sentences of a training: one is read after the other, sent at once, and judged by the server.

import { note } from "./job_facts.js";
import { formOf, RATINGS } from "./voice_parts.js";
import { ask, read } from "../core/api.js";
import { mayUpload } from "../core/door.js";
import { html, nothing } from "../core/lit.js";
import { languageName, t } from "../core/texts.js";

const MOST = 25;

// A sentence that is read again takes the place of its recording.
export async function send(page) {
  await page.run("train", async () => {
    const { recorder, prompts, index } = page;
    if (page.isSending || !(await mayUpload()) || page.isLeft) return;
    page.set({ isSending: true });
    page.say(t("train.sending"));
    const prompt = prompts.data[index];
    const before = page.sampleOf(prompt);
    const path = `${page.url}/samples`;
    const drop = () => ask(`${path}/${encodeURIComponent(before.id)}`, { method: "DELETE" });
    const isFull = page.samples.length >= MOST;
    if (before && isFull) await drop();
    const fields = { emotion: "neutral", ref_text: prompt.text, file: recorder.take };
    const latest = await read(path, { form: formOf(fields), headers: page.once.of(fields) });
    if (before && !isFull) await drop();
    await page.readSamples();
    recorder.clear();
    page.set({ latest: { ...latest, number: index + 1 } });
    // What was poor is read again at once, and the others one after the other.
    if (latest.quality.rating !== "low") page.goOn();
    recorder.focus();
  }, ["file"]).finally(() => page.set({ isSending: false, status: "" }));
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
    ${page.choice("train", "language", t("speak.language"), { value: page.language, options: page.languages.map((tag) => [tag, languageName(tag)]), disabled: page.isSending, change: choose })}
    <p class="quiet small" id="train-number">${t("train.sentence", { n: index + 1, of: prompts.data.length })}</p>
    <p class="sentence" id="train-sentence" lang=${prompts.language}>${prompt.text}</p>
    ${recorder.view(t("train.recording"), t("train.hint"))}
    ${recorder.take && !page.isSending ? html`<div class="row"><button type="button" id="train-send" @click=${() => send(page)}>${t("train.send")}</button></div>` : nothing}
    ${page.statusLine()}
    <div role="status">${judged(page)}</div>
    <details id="train-list"><summary>${t("train.all")}</summary><ol class="rows" lang=${prompts.language}>${prompts.data.map((each, at) => row(page, each, at))}</ol></details>
  </section>`;
}

// What the server says of the last recording.
function judged({ latest }) {
  if (!latest) return nothing;
  const { rating, reasons } = latest.quality;
  const text = html`${t("train.kept", { n: latest.number, quality: t(`voices.quality.${rating}`) })} <span lang="en">${reasons.join(" ")}</span>`;
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
