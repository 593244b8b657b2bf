// Train: a voice of one's own reads sentences, and a model learns it. The address names the voice.

import { resultCard, startCard, trainingCard } from "./train_model.js";
import { cutCard } from "./train_cut.js";
import { LANGUAGES, send, sentencesCard } from "./train_read.js";
import { show, watchTraining } from "./train_watch.js";
import { isOpen, jobPath, note, stepsOf } from "./job_facts.js";
import { OnceKey, read } from "../core/api.js";
import { refreshAccount } from "../core/account.js";
import { baseOf, catalogue, loadCatalogue } from "../core/catalogue.js";
import { consentsFor } from "../core/consents.js";
import { agrees } from "../core/dialogs.js";
import { html, nothing, repeat } from "../core/lit.js";
import { Page, entitle, icon } from "../core/page.js";
import { Recorder } from "../core/recorder.js";
import { hasFeature, session } from "../core/session.js";
import { languageName, t } from "../core/texts.js";

const MOST_READ = 100;
const BEST = { least: 4, most: 15 };

class ChoicePage extends Page {
  voices = null;

  title() {
    return t("train.title");
  }

  async open() {
    const [consents] = await Promise.all([consentsFor("training"), loadCatalogue()]);
    const agreed = new Set(consents.map(({ id }) => id));
    const isFree = session.me.plan.consent !== "required";
    const fits = ({ type, consent }) => type === "audio_sample" && (consent ? agreed.has(consent) : isFree);
    this.set({ voices: catalogue.voices.filter(fits) });
  }

  view() {
    const { voices } = this;
    return html`<section class="view">${this.heading()}<p class="quiet">${t("train.text")}</p>${this.alert("page")}
      ${voices?.length ? html`<ul class="grid" role="list" id="train-voices">${repeat(voices, ({ id }) => id, (voice) => this.card(voice))}</ul>` : nothing}
      ${voices?.length === 0 ? html`<div class="card new" id="train-none"><p>${t("train.none")}</p><a class="button first" href="#/voices/new">${icon("mic")} ${t("voices.new")}</a></div>` : nothing}
    </section>`;
  }

  card({ id, name, language, trained }) {
    return html`<li class="card stack"><div class="row line"><span class="face own" aria-hidden="true">${[...name][0]?.toUpperCase() ?? "?"}</span>
      <div class="wide"><h2>${name}</h2><p class="quiet small">${[language && languageName(language), trained && t("voices.trained")].filter(Boolean).join(" · ")}</p></div></div>
      <div class="row"><a class="button" href="#/train/${encodeURIComponent(id)}" aria-label=${t("train.voice", { name })}>${t("voices.train")}</a></div></li>`;
  }
}

class TrainPage extends Page {
  constructor(path) {
    super(path);
    Object.assign(this, { id: path[0], voice: null, language: "en", prompts: null, samples: [], index: 0, latest: null, isSending: false });
    Object.assign(this, { model: "", job: null, isBroken: false, isStarting: false, once: new OnceKey(), onceTrained: new OnceKey() });
    Object.assign(this, { isCutting: false, cut: null, report: null, onceCut: new OnceKey() });
    this.cutter = new Recorder(this, "cut", "file", { isLong: true });
    this.recorder = new Recorder(this, "train", "file", { best: BEST, taken: () => this.recorder.faults.length || send(this) });
  }

  title() {
    return this.voice ? t("train.voice", { name: this.voice.name }) : t("train.title");
  }

  get models() {
    return catalogue.models.filter(({ trains }) => trains);
  }

  get url() {
    return `v1/audio/voices/${encodeURIComponent(this.id)}`;
  }

  async open() {
    show(this);
    const [voice, jobs] = await Promise.all([read(this.url), read("v1/jobs", { query: { limit: MOST_READ } }), loadCatalogue(), this.readSamples()]);
    // The newest training of this voice, also one that began elsewhere.
    const job = jobs.data.find(({ training }) => training?.voice === voice.id) ?? null;
    const spoken = baseOf(voice.language ?? "");
    this.set({ voice, job, model: this.models[0]?.id ?? "", language: LANGUAGES.includes(spoken) ? spoken : "en" });
    entitle(this.title());
    if (job && isOpen(job)) watchTraining(job.id, voice.name);
    await this.readPrompts();
  }

  left() {
    show(null);
  }

  async readSamples() {
    this.set({ samples: (await read(`${this.url}/samples`)).data });
  }

  // The first sentence that was not read yet is next.
  async readPrompts() {
    const prompts = await read("v1/audio/voice_prompts", { query: { language: this.language } });
    this.set({ prompts });
    this.goOn();
  }

  goOn() {
    const next = this.prompts.data.findIndex((prompt) => !this.sampleOf(prompt));
    this.set({ index: Math.max(0, next) });
  }

  sampleOf({ text }) {
    return this.samples.find(({ ref_text: words }) => words === text);
  }

  start() {
    return this.run("start", async () => {
      if (this.isStarting) return;
      this.set({ isStarting: true });
      const json = { kind: "training", voice: this.id, model: this.model, title: this.title() };
      const job = await read("v1/jobs", { json, headers: this.onceTrained.of(json) });
      // Another one is another training.
      this.onceTrained = new OnceKey();
      refreshAccount();
      this.took(job);
      watchTraining(job.id, this.voice.name);
    }, ["model"]).finally(() => this.set({ isStarting: false }));
  }

  cancel() {
    return this.run("train", async () => {
      const question = { title: t("jobs.cancel_title"), text: t("jobs.cancel_text"), no: t("jobs.keep"), yes: t("voices.cancel"), isDanger: true };
      if (!(await agrees(question))) return;
      this.took(await read(`${jobPath(this.job.id)}/cancel`, { method: "POST" }));
    });
  }

  // The training is further. An open tab shows it in its title.
  took(job) {
    if (!this.voice || job.training?.voice !== this.voice.id) return;
    this.set({ job });
    if (isOpen(job)) {
      const { done, all } = stepsOf(job);
      entitle(`${Math.floor((100 * done) / all)} % · ${this.title()}`);
    } else if (job.status === "done") {
      read(this.url).then((voice) => this.set({ voice }), () => {});
    }
  }

  view() {
    const { voice, job, prompts } = this;
    const isRunning = job && isOpen(job);
    return html`<section class="view">${this.heading()}
      <p><a href="#/train">← ${t("train.title")}</a></p>
      ${this.alert("page")}${this.alert("train")}
      ${voice && catalogue.models.length && !this.models.length ? note(t("train.no_model"), "warn", "train-no-model") : nothing}
      ${job && (isRunning || ["failed", "canceled"].includes(job.status)) ? trainingCard(this) : nothing}
      ${voice?.trained && !isRunning ? resultCard(this) : nothing}
      ${prompts && !isRunning ? html`<div class="pair">${sentencesCard(this)}${startCard(this)}</div>` : nothing}
      ${prompts && !isRunning && hasFeature("jobs") && catalogue.models.some(({ hears }) => hears) ? cutCard(this) : nothing}
    </section>`;
  }
}

// The frame makes a page of an address: this one chooses which.
export default function trainPage(path) {
  return path[0] ? new TrainPage(path) : new ChoicePage(path);
}
