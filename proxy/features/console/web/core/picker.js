// The voice picker: a dialog with all voices in groups, found by name, language and gender.

import { catalogue, factsOf, groupOf, isFound, languageChoices, titleOf, wordsOf } from "./catalogue.js";
import { draft } from "./draft.js";
import { html, nothing } from "./lit.js";
import { icon, select } from "./page.js";
import { previewButton } from "./previews.js";
import { t } from "./texts.js";

const MOST_SHOWN = 60;
const GROUPS = ["own", "natural", "rules"];
const GENDERS = ["", "female", "male", "neutral"];

// The voices that fit what was typed and chosen in these fields. `finder` has `words`, `language` and `gender`.
export function foundVoices({ words, language, gender }) {
  const wanted = { words: wordsOf(words), language, gender };
  return catalogue.voices.filter((voice) => isFound(voice, wanted));
}

export function finderFields(form, finder) {
  const change = (name) => (value) => finder.change({ [name]: value });
  const genders = GENDERS.map((gender) => [gender, t(gender ? `gender.${gender}` : "picker.any_gender")]);
  return html`<div class="row finder"><input type="search" id="${form}-find" aria-label=${t("picker.find")} placeholder=${t("picker.find")} .value=${finder.words}
      @input=${(event) => finder.change({ words: event.target.value })}>
    ${select(`${form}-language`, t("picker.language"), { value: finder.language, options: [["", t("picker.any_language")], ...languageChoices()], change: change("language") })}
    ${select(`${form}-gender`, t("picker.gender"), { value: finder.gender, options: genders, change: change("gender") })}</div>`;
}

export class VoicePicker {
  // `onChoice` gets the voice that is chosen, and `chosen` tells the id of the one that is so far.
  constructor(page, onChoice, chosen = () => draft.voice) {
    Object.assign(this, { page, onChoice, chosen, words: "", language: "", gender: "" });
  }

  get dialog() {
    return this.page.place.querySelector("#picker");
  }

  open() {
    this.language = draft.language;
    this.page.draw();
    this.dialog.showModal();
    (this.dialog.querySelector("input:checked") ?? this.dialog.querySelector("#picker-find")).focus();
  }

  // The focus goes back to the button that opened the list, which the same key must not press.
  close(event) {
    event.preventDefault();
    this.dialog.close();
  }

  change(changes) {
    Object.assign(this, changes);
    this.page.update();
  }

  view() {
    const found = foundVoices(this);
    const shown = found.slice(0, MOST_SHOWN);
    // What is chosen stays in sight, also where it is far down in a long list.
    const chosen = found.find(({ id }) => id === this.chosen());
    if (chosen && !shown.includes(chosen)) shown.unshift(chosen);
    return html`<dialog id="picker" class="wide-dialog" aria-labelledby="picker-title">
      <div class="row apart"><h2 id="picker-title">${t("picker.title")}</h2>
        <button type="button" class="round plain" aria-label=${t("picker.close")} @click=${() => this.dialog.close()}>${icon("close")}</button></div>
      ${finderFields("picker", this)}
      <p class="quiet small" role="status">${t("picker.found", { n: found.length })}</p>
      <div class="groups">${GROUPS.map((group) => this.group(group, shown))}</div>
      <div class="row"><button type="button" class="first" id="picker-use" @click=${() => this.dialog.close()}>${t("picker.use")}</button></div>
    </dialog>`;
  }

  group(group, shown) {
    const voices = shown.filter((voice) => groupOf(voice) === group);
    if (!voices.length) return nothing;
    return html`<h3>${t(`picker.${group}`)}</h3><ul role="list" class="rows">${voices.map((voice) => this.row(voice))}</ul>`;
  }

  row(voice) {
    return html`<li><label>
        <input type="radio" name="picked" value=${voice.id} .checked=${voice.id === this.chosen()} ?disabled=${!voice.engines.length}
          @change=${() => this.onChoice(voice)} @dblclick=${() => this.dialog.close()}
          @keydown=${(event) => event.key === "Enter" && this.close(event)}>
        <span class="face ${groupOf(voice)}" aria-hidden="true">${[...titleOf(voice)][0]?.toUpperCase() ?? "?"}</span>
        <span class="about"><span class="name">${titleOf(voice)}</span><span class="quiet small">${factsOf(voice).join(" · ")}</span></span>
      </label>${previewButton(this.page, "picker", voice, this.language)}</li>`;
  }
}
