// A word of a job that was said wrong: what it costs to say it again, and the new job that does.

import { jobPath } from "./job_facts.js";
import { OnceKey, read } from "../core/api.js";
import { agrees } from "../core/dialogs.js";
import { html } from "../core/lit.js";
import { icon } from "../core/page.js";
import { number, t } from "../core/texts.js";

const once = new OnceKey();

function say(page, event) {
  event.preventDefault();
  const { job, word = "", spoken = "" } = page;
  return page.run("again", async () => {
    const path = `${jobPath(job.id)}/again`;
    const json = { words: { [word.trim()]: spoken.trim() } };
    const { steps, credits } = await read(path, { json: { ...json, preview: true } });
    const question = { title: t("jobs.again"), text: t("jobs.again_price", { steps, credits: number(credits) }), no: t("jobs.keep"), yes: t("jobs.again_go") };
    if (!(await agrees(question))) return;
    const made = await read(path, { json, headers: once.of({ ...json, job: job.id }) });
    location.hash = `#/jobs/${made.id}`;
  }, ["words"]);
}

export function againCard(page) {
  return html`<form class="card stack" id="job-again" novalidate @submit=${(event) => say(page, event)}>
    <h2>${t("jobs.again")}</h2>
    <p class="quiet small">${t("jobs.again_hint")}</p>
    ${page.input("again", "words", t("jobs.again_word"), { value: page.word, max: 100, change: (word) => page.set({ word }) })}
    ${page.input("again", "spoken", t("jobs.again_spoken"), { value: page.spoken, max: 200, change: (spoken) => page.set({ spoken }) })}
    <div class="row"><button id="job-again-go" ?disabled=${!page.word?.trim() || !page.spoken?.trim()}>${icon("again")} ${t("jobs.again_go")}</button></div>
    ${page.alert("again")}
  </form>`;
}
