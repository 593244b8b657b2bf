// The model of a voice: what its training costs, how far it is, and how to take it home.

import { askToNotify, canNotify } from "./train_watch.js";
import { leftText, note, Pace, progressBar, stateTag, stepsOf, waitText } from "./job_facts.js";
import { saveAs, saveSound } from "./job_sound.js";
import { useVoice } from "./voice_parts.js";
import { catalogue } from "../core/catalogue.js";
import { html, nothing } from "../core/lit.js";
import { icon } from "../core/page.js";
import { session } from "../core/session.js";
import { day, hasText, number, t } from "../core/texts.js";

// Other programs know a model by the end of its file's name.
const FILES = { rvc: "PTH" };

export function startCard(page) {
  const { samples, prompts, models } = page;
  const price = session.me?.prices.training ?? { credits: 0, per: "job" };
  const missing = prompts.needed - samples.length;
  if (!models.length) return nothing;
  return html`<section class="card stack" id="train-start" aria-labelledby="train-start-title"><h2 id="train-start-title">${t("voices.train")}</h2>
    ${missing > 0 ? html`<p class="quiet">${t("train.missing", { n: missing })}</p>` : nothing}
    ${price ? nothing : note(t("train.not_offered"))}
    ${page.choice("start", "model", t("speak.model"), { value: page.model, options: models.map(({ id }) => [id, id]), change: (model) => page.set({ model }) })}
    <div class="row apart"><span class="num" id="train-price">${!price ? nothing : price.credits ? t("jobs.price", { credits: number(price.credits) }) : t("speak.free")}</span>
      <button class=${page.voice.trained ? "" : "first"} id="train-go" ?disabled=${missing > 0 || !price || page.isStarting} @click=${() => page.start()}>${icon("play")} ${t("train.start")}</button></div>
    ${page.alert("start")}
  </section>`;
}

function stageText({ stage }) {
  return hasText(`train.stage.${stage}`) ? t(`train.stage.${stage}`) : stage;
}

export function trainingCard(page) {
  const { job } = page;
  const waits = waitText(job) || (page.isBroken && t("jobs.broken"));
  const left = leftText(job, new Pace());
  return html`<section class="card stack" id="train-job" aria-labelledby="train-job-title">
    <div class="row apart"><h2 id="train-job-title">${t("usage.operation.training")}</h2><span role="status">${stateTag(job)}</span></div>
    ${progressBar(job)}
    <div class="row apart small"><span id="train-stage">${stageText(job.training)}</span><span class="num">${t("jobs.steps", stepsOf(job))}</span></div>
    ${left ? html`<p class="num" id="train-left">${t("jobs.time_left")}: ${left}</p>` : nothing}
    ${waits ? note(waits) : nothing}
    ${job.error ? note(html`<span lang="en">${job.error}</span>`, "bad", "train-error") : nothing}
    ${job.ended ? nothing : html`<p class="quiet">${t("train.may_close")}</p><div class="row">
      ${canNotify() ? html`<button id="train-notify" @click=${() => askToNotify().then(() => page.update())}>${t("train.notify")}</button>` : nothing}
      <button class="danger" id="train-cancel" @click=${() => page.cancel()}>${icon("stop")} ${t("voices.cancel")}</button></div>`}
  </section>`;
}

export function resultCard(page) {
  const { voice, job } = page;
  const own = catalogue.models.filter(({ owned_by: owner }) => voice.engines.includes(owner));
  const run = (step) => () => page.run("result", step);
  const model = ({ format }) => saveAs(`${page.url}/model`, voice.name, { format });
  return html`<section class="card stack" id="train-result" aria-labelledby="train-result-title"><h2 id="train-result-title">${t("train.result")}</h2>
    <p class="quiet small">${voice.trained.map(({ format, created_at: at }) => `${format}, ${day(at)}`).join(" · ")}</p>
    <div class="row">
      ${own.some(({ speaks }) => speaks !== false) ? html`<button class="first" id="train-speak" @click=${() => useVoice(voice)}>${icon("play")} ${t("train.speak")}</button>` : nothing}
      ${own.some(({ converts }) => converts) ? html`<a class="button" href="#/jobs/convert/${encodeURIComponent(voice.id)}">${icon("mic")} ${t("jobs.convert")}</a>` : nothing}
      ${voice.trained.map((each) => html`<button class="plain" @click=${run(() => model(each))}>${icon("down")} ${t("speak.save", { format: FILES[each.format] ?? each.format.toUpperCase() })}</button>`)}
      ${job?.status === "done" ? html`<button class="plain" id="train-onnx" @click=${run(() => saveSound(job))}>${icon("down")} ${t("speak.save", { format: "ONNX" })}</button>` : nothing}
    </div>
    ${page.alert("result")}
  </section>`;
}
