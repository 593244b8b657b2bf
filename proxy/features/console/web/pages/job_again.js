// What is said again of a job that has ended: its price first, then a new job, which takes over the rest.

import { jobPath } from "./job_facts.js";
import { OnceKey, read } from "../core/api.js";
import { agrees } from "../core/dialogs.js";
import { html, nothing } from "../core/lit.js";
import { icon } from "../core/page.js";
import { hasFeature } from "../core/session.js";
import { duration, number, t } from "../core/texts.js";

const once = new OnceKey();

// `told` is what is said otherwise, in words. Tells whether the reader has agreed.
export async function sayAgain(job, json, told = nothing) {
  const path = `${jobPath(job.id)}/again`;
  const { steps, credits, seconds } = await read(path, { json: { ...json, preview: true } });
  const text = html`${told}<p>${t("jobs.again_price", { steps, time: duration(seconds), credits: number(credits) })}</p>`;
  const check = json.words && hasFeature("lexicons") ? t("jobs.again_keep") : "";
  const agreed = await agrees({ title: t("jobs.again"), text, no: t("word.no"), yes: t("jobs.again_go"), check });
  if (!agreed) return false;
  const asked = agreed.isChecked ? { ...json, keep_words: true } : json;
  const made = await read(path, { json: asked, headers: once.of({ ...asked, job: job.id }) });
  location.hash = `#/jobs/${made.id}`;
  return true;
}

function say(page, event) {
  event.preventDefault();
  const { job, word = "", spoken = "" } = page;
  return page.run("again", () => sayAgain(job, { words: { [word.trim()]: spoken.trim() } }), ["words"]);
}

export function againCard(page) {
  return html`<form class="card stack" id="job-again" novalidate @submit=${(event) => say(page, event)}>
    <h2>${t("jobs.again_title")}</h2>
    <p class="quiet small">${t("jobs.again_hint")}</p>
    <div class="two">${page.input("again", "words", t("jobs.again_word"), { value: page.word, max: 100, change: (word) => page.set({ word }) })}
      ${page.input("again", "spoken", t("jobs.again_spoken"), { value: page.spoken, max: 200, change: (spoken) => page.set({ spoken }) })}</div>
    <div class="row"><button id="job-again-go" ?disabled=${!page.word?.trim() || !page.spoken?.trim()}>${icon("again")} ${t("jobs.again_go")}</button></div>
    ${page.alert("again")}
  </form>`;
}
