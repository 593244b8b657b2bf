// The sound of jobs: of a whole one, of a chapter, and of each step.

import { sayAgain } from "./job_again.js";
import { jobPath, titleOf } from "./job_facts.js";
import { ask, Failure, saveBlob } from "../core/api.js";
import { html, nothing, repeat } from "../core/lit.js";
import { icon } from "../core/page.js";
import { player, wordsText } from "../core/player.js";
import { wavOf } from "../core/sound.js";
import { duration, number, t } from "../core/texts.js";

const RATES = [8000, 16000, 22050, 24000, 44100, 48000];
// What a transcription is asked for.
export const TEXTS = ["text", "srt", "vtt", "verbose_json", "json"];
const LOOKS = { done: "good", failed: "bad" };

export const canHear = (format) => !format.startsWith("g711") && !TEXTS.includes(format);

// Bare samples tell neither their rate nor their length, but the job knows how long they sound.
async function playable(blob, seconds) {
  if (!/pcm|l16/i.test(blob.type)) return blob;
  const bytes = await blob.arrayBuffer();
  const rate = bytes.byteLength / 2 / seconds;
  return wavOf([bytes], RATES.toSorted((a, b) => Math.abs(a - rate) - Math.abs(b - rate))[0]);
}

export async function playSound(job, part, title, seconds, query = {}) {
  const turn = player.claim();
  const answer = await ask(`${jobPath(job.id)}/${part}`, { query });
  const sound = await playable(await answer.blob(), seconds);
  if (!new Audio().canPlayType(sound.type)) throw new Failure({ message: t("jobs.unplayable"), code: "unplayable" });
  return player.play({ title, name: `${titleOf(job)}.${sound.type === "audio/wav" ? "wav" : job.format}` }, sound, turn);
}

// The server names the kind of the file, and the reader its title.
export async function saveAs(path, title, query = {}) {
  const answer = await ask(path, { query });
  const suffix = /\.(\w+)"?$/.exec(answer.headers.get("content-disposition") ?? "")?.[1];
  saveBlob(await answer.blob(), `${title}.${suffix ?? query.format ?? "bin"}`);
}

export const saveSound = (job, query = {}, part = "content", title = titleOf(job)) => saveAs(`${jobPath(job.id)}/${part}`, title, query);

export function stepsCard(page) {
  const { job } = page;
  const { rows: steps } = page.steps;
  const isFirst = new Map(steps.toReversed().map(({ chapter, id }) => [chapter, id]));
  return html`<section class="card stack" aria-labelledby="steps-title"><h2 id="steps-title">${t("jobs.steps_title")}</h2>
    <div class="scroll"><table class="fold" id="job-list"><thead><tr><th>${t("jobs.steps_title")}</th><th class="end">${t("jobs.sound")}</th>
      <th class="end">${t("usage.credits")}</th><th>${t("jobs.state")}</th><th><span class="skip">${t("player.play")}</span></th></tr></thead>
    <tbody>${repeat(steps, ({ id }) => id, (step) => html`
      ${step.chapter && isFirst.get(step.chapter) === step.id ? chapterRow(page, job, step) : nothing}${stepRow(page, job, step)}`)}</tbody></table></div>
    ${page.steps.foot("steps")}${page.alert("steps")}</section>`;
}

function chapterRow(page, job, { chapter, chapter_title: name }) {
  const title = `${titleOf(job)}, ${name}`;
  const run = (step) => () => page.run("steps", step);
  const buttons = html`${canHear(job.format) && job.format !== "pcm"
    ? html`<button class="round plain" aria-label=${t("preview.play", { name })} @click=${run(() => playSound(job, "content", title, 0, { chapter }))}>${icon("play")}</button>` : nothing}
    <button class="round plain" aria-label=${t("speak.save", { format: name })} @click=${run(() => saveSound(job, { chapter }, "content", title))}>${icon("down")}</button>`;
  return html`<tr><td colspan="4"><strong>${name}</strong></td><td class="end">${job.ended && job.steps_done ? buttons : nothing}</td></tr>`;
}

function stepRow(page, job, step) {
  const name = t("jobs.step_number", { n: step.number });
  const hasSound = step.seconds > 0 && canHear(job.format);
  const play = () => page.run("steps", () => playSound(job, `steps/${step.number}/content`, `${titleOf(job)}, ${name}`, step.seconds));
  return html`<tr><td class="num">${name}</td><td class="num end" data-label=${t("jobs.sound")}>${step.seconds ? duration(step.seconds) : "–"}</td><td class="num end" data-label=${t("usage.credits")}>${number(step.credits)}</td>
    <td data-label=${t("jobs.state")}><span class="tag ${LOOKS[step.status] ?? ""}">${t(`jobs.state.${step.status}`)}</span>${step.error ? html`<br><span class="small" lang="en">${step.error}</span>` : nothing}${step.wrong.length ? html`<br><span class="small">${wordsText("wrong", step.wrong)}</span>` : nothing}</td>
    <td class="end">${hasSound ? html`<button class="round plain" aria-label=${t("preview.play", { name })} @click=${play}>${icon("play")}</button>` : nothing}
      ${page.lines ? html`<button class="round plain" aria-label=${t("jobs.step_again", { n: step.number })} @click=${() => page.run("steps", () => sayAgain(job, { steps: [step.number] }))}>${icon("again")}</button>` : nothing}</td></tr>`;
}
