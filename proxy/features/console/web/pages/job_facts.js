// What pages tell of jobs: their names and states, how far they are, and what they wait for.

import { ask, events, Failure, read } from "../core/api.js";
import { voiceName } from "../core/catalogue.js";
import { html, nothing } from "../core/lit.js";
import { icon } from "../core/page.js";
import { duration, language, number, t } from "../core/texts.js";

const AGAIN_MS = 2000;
const SETTLES_MS = 2000;
export const MOST_TITLE = 200;
export const JOB_FORMATS = ["mp3", "wav", "opus", "flac", "aac"];
const LOOKS = { done: "good", failed: "bad", expired: "bad", waiting: "warn", part: "warn" };

export function jobPath(id) {
  return `v1/jobs/${encodeURIComponent(id)}`;
}

export function titleOf({ title, id }) {
  return title || id;
}

export function cleanTitle(text) {
  return [...text.replace(/\p{Cc}+/gu, " ").trim()].slice(0, MOST_TITLE).join("");
}

// A time as subtitles have it, and one for people. `mark` stands before the thousandths.
export function clock(seconds, mark) {
  const ms = Math.round(seconds * 1000);
  const part = (each, digits = 2) => String(Math.floor(each)).padStart(digits, "0");
  return `${part(ms / 3_600_000)}:${part((ms / 60_000) % 60)}:${part((ms / 1000) % 60)}${mark}${part(ms % 1000, 3)}`;
}

export const shortClock = (seconds) => clock(seconds, ".").replace(/^00:/, "").slice(0, -4);

// A kind that a feature brings has its own words, by language.
export function wordOf({ words }, name) {
  return words?.[language]?.[name] ?? words?.en?.[name];
}

export function kindOf({ kind, ...job }) {
  if (job.words) return wordOf(job, "kind") ?? kind;
  return ["batch", "cut"].includes(kind) ? t(`jobs.${kind}`) : t(`usage.operation.${kind}`);
}

// Several speak a cast.
export function voicesOf({ voice }) {
  return voice.split("+").map(voiceName).join(", ");
}

export function isOpen({ ended }) {
  return ended === null;
}

export function secondsOf(time) {
  return Date.parse(time) / 1000;
}

// How many of the steps are done. A training tells its own.
export function stepsOf({ training, steps, steps_done: done }) {
  return training ? { done: training.step, all: training.steps } : { done, all: steps };
}

export function stateTag({ status, settling, steps_done: done }) {
  const state = settling ? "settling" : status === "failed" && done ? "part" : status;
  return html`<span class="tag ${LOOKS[state] ?? ""}">${t(`jobs.state.${state}`)}</span>`;
}

export function waitText({ waits_for: what, ended }) {
  return what && ended === null ? t(`jobs.waits.${what}`) : "";
}

export function progressBar(job) {
  const { done, all } = stepsOf(job);
  return html`<progress max=${all || 1} value=${done} aria-label=${t("jobs.progress", { name: titleOf(job) })}></progress>`;
}

// What so many seconds cost, or none that are known.
export function priceText(price, seconds) {
  if (!price?.credits) return "";
  const isByTime = price.per === "minute";
  if (isByTime && !seconds) return t("jobs.price_minute", { credits: number(price.credits, 6) });
  return t("jobs.price", { credits: number(isByTime ? (seconds / 60) * price.credits : price.credits) });
}

export function note(text, look = "warn", id = nothing) {
  return html`<p class="note ${look}" id=${id}>${icon("info")}<span>${text}</span></p>`;
}

// How long the steps of a job take, by those that were seen to end. A step that was under way when one looked
// first tells nothing, and a wait is no work.
export class Pace {
  constructor() {
    Object.assign(this, { done: null, first: null, last: null });
  }

  note({ status, waits_for: waits, steps_done: done }, now = performance.now() / 1000) {
    if (this.done === null || status !== "running" || waits) this.first = this.last = null;
    else if (done !== this.done) this.first ??= this.last = { done, now };
    if (this.first && done !== this.last.done) this.last = { done, now };
    this.done = done;
  }

  // The seconds that the others will take, or null while nobody can say.
  left({ steps, training }) {
    if (training) return training.eta_seconds;
    const { first, last } = this;
    if (!last || last.done <= first.done) return null;
    return Math.ceil(((steps - last.done) * (last.now - first.now)) / (last.done - first.done));
  }
}

export function leftText(job, pace) {
  const left = isOpen(job) && !job.waits_for ? pace.left(job) : null;
  return left === null ? "" : t("jobs.left", { time: duration(Math.max(1, Math.round(left))) });
}

function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

// A break of the connection is no end. What the server refuses for good is one.
function isOver(failure) {
  return !(failure instanceof Failure) || (failure.status >= 400 && failure.status < 500 && failure.status !== 429);
}

// Each state of a job, until its end and until all that it costs is known. After a break it goes on behind the
// last event that came. `broken` is told of breaks, and of their ends.
export async function* follow(id, signal, broken = () => {}) {
  let last = "";
  let job = null;
  while (!job?.ended) {
    try {
      const headers = last ? { "Last-Event-ID": last } : {};
      const answer = await ask(`${jobPath(id)}/events`, { headers, signal });
      broken(false);
      for await (job of events(answer, (number) => { last = number; })) yield job;
      // The stream of a server that stops ends early, and a training that went back has an end with an old number.
      if (!job?.ended) yield (job = await read(jobPath(id), { signal }));
    } catch (failure) {
      if (isOver(failure)) throw failure;
      broken(true);
    }
    if (!job?.ended) await pause(AGAIN_MS, signal);
  }
  while (job.settling) {
    await pause(SETTLES_MS, signal);
    yield (job = await read(jobPath(id), { signal }));
  }
}
