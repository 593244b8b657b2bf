// What is said of a text before it is spoken: its length and price, and what will be other than asked for.

import { catalogue, voiceName } from "../core/catalogue.js";
import { draft } from "../core/draft.js";
import { html, nothing } from "../core/lit.js";
import { failureText, icon } from "../core/page.js";
import { hasFeature } from "../core/session.js";
import { duration, languageName, t } from "../core/texts.js";

export const LONGEST = 4096;
const NATURAL = "voxgate voices natural";

export function estimateText({ estimate, doubt, length }) {
  if (!estimate || doubt) return "";
  // By its beginning, what the whole text would cost.
  const share = Math.max(1, length / LONGEST);
  const credits = estimate.credits ? t("speak.credits", { n: Math.ceil(estimate.credits * share) }) : t("speak.free");
  const facts = { language: languageName(estimate.language), time: duration(estimate.seconds * share), credits };
  return share > 1 ? t("jobs.estimate", facts) : t("speak.estimate", facts);
}

// That a robot speaks, and where there is no natural voice at all, how to get some.
export function robotNote({ is_trained: isTrained, language: tag }) {
  if (isTrained !== false) return "";
  const isPlain = !catalogue.models.some((model) => model.is_trained);
  return html`${t("speak.rules", { language: languageName(tag) })} ${isPlain ? html`${t("word.remedy")} <code>${NATURAL}</code>` : nothing}`;
}

// What is other than asked for is said before the click.
export function notices(page) {
  const notes = [moreNote(page), page.isJob && t("speak.long", { most: LONGEST }), ...estimateNotes(page)].filter(Boolean);
  return notes.length ? html`<div class="note warn">${icon("info")}<ul>${notes.map((text) => html`<li>${text}</li>`)}</ul></div>` : nothing;
}

function moreNote(page) {
  const more = Object.keys(draft.more).filter((field) => field !== "voice" || !draft.voice);
  return more.length && html`${t("speak.more_fields", { fields: more.join(", ") })} <button type="button" class="plain" id="speak-less" @click=${() => page.forgetMore()}>${t("speak.less")}</button>`;
}

function estimateNotes({ estimate, doubt }) {
  if (doubt || !estimate) return [doubt && failureText(doubt)];
  const { substitute, dropped_tags: dropped } = estimate;
  const ignored = estimate.ignored.filter((field) => field !== "emotion" || !dropped.length);
  return [
    substitute && t("speak.substitute", { voice: voiceName(substitute) }),
    robotNote(estimate),
    dropped.length && t("speak.dropped", { tags: dropped.map((tag) => `[${tag}]`).join(" ") }),
    ignored.length && t("speak.ignored", { fields: ignored.join(", ") }),
  ];
}

export function checkBox(page, hint = nothing) {
  return !hasFeature("heard") ? nothing : html`<label class="tick"><input type="checkbox" id="${page.form}-check" .checked=${draft.isChecked} @change=${(event) => page.change({ isChecked: event.target.checked })}>${t("speak.check")}</label>${hint}`;
}
