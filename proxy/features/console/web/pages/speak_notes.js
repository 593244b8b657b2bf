// What is said of a text before it is spoken: its length and price, what will be other than asked for, and how it may
// be spoken.

import { baseOf, hasNaturalVoices, languageChoices, noNatural, speakingModels, voiceOf } from "../core/catalogue.js";
import { draft, keyOf, namesOf } from "../core/draft.js";
import { html, live, nothing } from "../core/lit.js";
import { failureText, icon } from "../core/page.js";
import { formatName, isRobotTold, substituteText } from "./spoken.js";
import { hasFeature, isOperator } from "../core/session.js";
import { duration, languageName, minutes, t, wholeFromTen } from "../core/texts.js";

export const LONGEST = 4096;
const FORMATS = ["mp3", "wav", "opus", "aac", "flac", "pcm", "g711_ulaw", "g711_alaw"];
// What a voice takes: as long as no estimate tells, and where none ever does.
const NOTHING = { pitch: [0, 0], emotions: [], instructions: 0 };
const ANYTHING = { pitch: [-12, 12], emotions: [], instructions: LONGEST };
const NATURAL = "voxgate voices natural";
const MOST_NAMED = 16;
let seen = { text: "", found: new Map() };

export function estimateText({ estimate, doubt, length }) {
  if (!estimate || doubt) return "";
  // By its beginning, what the whole text would cost.
  const share = Math.max(1, length / LONGEST);
  const credits = estimate.credits ? t("speak.credits", { n: wholeFromTen(estimate.credits * share, Math.ceil) }) : t("speak.free");
  const facts = { time: duration(estimate.seconds * share), credits };
  const left = estimate.available_minutes;
  return [share > 1 ? t("speak.estimate_long", facts) : t("speak.estimate", facts), left && t("speak.left", { time: minutes(left) })].filter(Boolean).join(" ");
}

// That a robot will speak. Who runs the server reads how to get natural voices.
export function robotNote({ is_trained: isTrained, language: tag }) {
  if (isTrained !== false) return "";
  const hasNone = isOperator() && !hasNaturalVoices();
  return html`<strong>${t("speak.robot_will")}</strong> ${noNatural(tag)} ${hasNone ? html`${t("word.remedy")} <code>${NATURAL}</code>` : nothing}`;
}

// That a language waits for its only voices, how long, and what helps.
function waitNote({ language: tag, wait }) {
  return wait && html`${t("speak.waits", { language: languageName(baseOf(tag)), time: duration(wait.seconds) })} ${wait.command && isOperator() ? html`${t("word.remedy")} <code>${wait.command}</code>` : nothing}`;
}

// What is other than asked for is said before the click.
export function notices(page) {
  const notes = [moreNote(page), page.isJob && t("speak.long", { most: LONGEST }), ...estimateNotes(page), ...nameNotes(page)].filter(Boolean);
  return notes.length ? html`<div class="note warn">${icon("info")}<ul>${notes.map((text) => html`<li>${text}</li>`)}</ul></div>` : nothing;
}

function moreNote(page) {
  const more = Object.keys(draft.more).filter((field) => field !== "voice" || !draft.voice);
  return more.length && html`${t("speak.more_fields", { fields: more.join(", ") })} <button type="button" class="plain" id="speak-less" @click=${() => page.forgetMore()}>${t("speak.less")}</button>`;
}

function estimateNotes({ estimate, doubt, hasCard }) {
  if (doubt || !estimate) return [doubt && failureText(doubt)];
  const { dropped_tags: dropped } = estimate;
  const ignored = estimate.ignored.filter((field) => field !== "emotion" || !dropped.length);
  const robot = !(hasCard && isRobotTold(estimate.language ?? "")) && robotNote(estimate);
  return [
    waitNote(estimate),
    (estimate.is_trained || estimate.substitute_reason !== "voice") && substituteText(estimate),
    robot,
    dropped.length && t("speak.dropped", { tags: dropped.map((tag) => `[${tag}]`).join(" ") }),
    ignored.length && t("speak.ignored", { fields: ignored.join(", ") }),
  ];
}

// What looks like names of a script: it begins two lines, or several do in capitals. A cast that is chosen has its names.
function scriptNames() {
  if (seen.text !== draft.text) seen = { text: draft.text, found: namesOf(draft.text) };
  const known = Object.keys((voiceOf(draft.voice) ?? draft.more.voice)?.cast ?? {}).map(keyOf);
  const isName = ({ name, times }) => times > 1 || (name === name.toUpperCase() && name !== name.toLowerCase());
  const names = [...seen.found].filter(([key, each]) => !known.includes(key) && isName(each)).map(([, each]) => each);
  return names.length > 1 || names[0]?.times > 1 ? names.map(({ name }) => name).slice(0, MOST_NAMED) : [];
}

// Names of a cast that the text lacks, and what looks like a name and would be read.
function nameNotes({ estimate, doubt, unused, others, addOthers }) {
  const known = !doubt && estimate;
  const [lacking, read] = [unused ?? (known?.unused_names || []), others ?? scriptNames()].map((names) => names.join(", "));
  return [
    lacking && t("scripts.lacking", { names: lacking }),
    read && html`${t("scripts.read", { names: read })} ${addOthers ? html`<button type="button" class="plain" id="script-add" @click=${addOthers}>${t("scripts.add")}</button>` : html`<a href="#/scripts">${t("scripts.give")}</a>`}`,
  ];
}

export function checkBox(page, hint = nothing) {
  return !hasFeature("heard") ? nothing : html`<label class="tick"><input type="checkbox" id="${page.form}-check" .checked=${draft.isChecked} @change=${(event) => page.change({ isChecked: event.target.checked })}>${t("speak.check")}</label>${hint}`;
}

// The language that was found is told in the place of the choice.
export function languagesOf({ estimate, doubt }) {
  const found = !draft.language && !doubt && estimate?.language;
  return [["", found ? t("speak.found", { language: languageName(found) }) : t("speak.automatic")], ...languageChoices([draft.language])];
}

export function range(page, name, { least, most, step, text }) {
  return html`<input id="${page.form}-${name}" type="range" min=${least} max=${most} step=${step} .value=${String(draft[name])}
    aria-valuetext=${text} @input=${(event) => page.change({ [name]: Number(event.target.value) })}>`;
}

export function slider(page, name, label, sizes) {
  return page.field(page.form, name, html`<span class="row apart">${label} <output class="num">${sizes.text}</output></span>`, range(page, name, sizes));
}

// What the voice takes, and what was chosen for another one and has to be taken back.
export function moreControls(page) {
  const { pitch: [least, most], emotions, instructions } = hasFeature("estimates") ? (page.estimate?.controls ?? NOTHING) : ANYTHING;
  const set = (field) => (value) => page.change({ [field]: value });
  const known = [...new Set([...emotions, draft.emotion])].filter(Boolean).map((each) => [each, t(`emotion.${each}`)]);
  const { pitch } = draft;
  return html`
    ${least < most || pitch ? slider(page, "pitch", t("speak.pitch"), { least: Math.min(least, pitch), most: Math.max(most, pitch), step: 1, text: t("speak.semitones", { n: pitch }) }) : nothing}
    ${known.length ? page.choice("speak", "emotion", t("speak.emotion"), { value: draft.emotion, options: [["", t("speak.plain")], ...known], change: set("emotion") }) : nothing}
    ${instructions || draft.instructions ? page.field("speak", "instructions", t("speak.instructions"), html`<textarea class="short" id="speak-instructions" maxlength=${LONGEST}
      .value=${live(draft.instructions)} @input=${(event) => set("instructions")(event.target.value)}></textarea>`) : nothing}
    ${page.choice("speak", "format", t("speak.format"), { value: draft.format, options: FORMATS.map((each) => [each, formatName(each)]), change: set("format") })}
    ${page.choice("speak", "model", t("speak.model"), { value: draft.model, options: speakingModels().map(({ id }) => [id, id]), change: (model) => page.change({ model, wanted: model }) })}
    ${page.input("speak", "tag", t("speak.tag"), { value: draft.tag, max: 64, hint: t("speak.tag_hint"), change: set("tag") })}
    <div>${hasFeature("history") ? html`<label class="tick"><input type="checkbox" id="speak-kept" .checked=${draft.isKept} @change=${(event) => page.change({ isKept: event.target.checked })}>${t("speak.keep")}</label>` : nothing}
      ${checkBox(page)}</div>`;
}
