// What every page is: fields, a view of them, and steps whose failures are told beside their field.

import { Failure } from "./api.js";
import { html, live, nothing, render } from "./lit.js";
import { BRAND } from "./session.js";
import { hasText, loadLaterTexts, t } from "./texts.js";

// The signs of shell.html.
export function icon(name) {
  return html`<svg class="i" aria-hidden="true"><use href="#i-${name}"></use></svg>`;
}

// The reader's own words for a failure, if the page has them. Else the server's, which are English.
export function failureText(failure) {
  return hasText(`error.${failure.code}`) ? t(`error.${failure.code}`) : html`<span lang="en">${failure.message}</span>`;
}

export function entitle(title) {
  document.title = `${title} · ${BRAND}`;
}

// Options of a choice, from pairs of value and text. A pair of a text and a list is a group of further pairs.
function optionsOf(options, value) {
  return options.map(([each, text]) => (Array.isArray(text)
    ? html`<optgroup label=${each}>${optionsOf(text, value)}</optgroup>`
    : html`<option value=${each} ?selected=${each === value}>${text}</option>`));
}

// A choice whose label is not shown.
export function select(id, label, { value, options, change }) {
  return html`<select id=${id} aria-label=${label} @change=${(event) => change(event.target.value)}>${optionsOf(options, value)}</select>`;
}

// Loads what is not needed at first. If it is not there, the frame tells why, and what was typed stays.
export async function loaded(load) {
  return Promise.all([load(), loadLaterTexts()]).then(([module]) => module).catch(() => void document.dispatchEvent(new Event("missing")));
}

export class Page {
  // `path` has the parts of the address behind the page's name: ["new"] for #/voices/new.
  constructor(path) {
    this.path = path;
    this.leaving = new AbortController();
    this.problem = null;
    this.status = "";
    this.isDue = false;
    this.isOpened = false;
  }

  get signal() {
    return this.leaving.signal;
  }

  get isLeft() {
    return this.signal.aborted;
  }

  // A subclass has `title()`, the text of its heading, `view()`, its template, and may have `open()`, which
  // reads what it shows, and `left()`, which ends what it began.
  mount(place) {
    this.place = place;
    this.draw();
    this.reopen();
  }

  // Reads what the page shows, unless it was read: a reader who comes back finds no empty page.
  reopen() {
    if (this.isOpened) return this.set({ problem: null });
    this.isOpened = true;
    return this.run("page", async () => {
      try {
        await this.open?.();
      } catch (failure) {
        this.isOpened = false;
        throw failure;
      }
    });
  }

  leave() {
    this.left?.();
    this.leaving.abort();
    render(nothing, this.place);
  }

  // What goes takes the focus with it: then the heading gets it.
  draw() {
    this.isDue = false;
    if (this.isLeft) return;
    const focused = this.place.contains(document.activeElement) ? document.activeElement : null;
    render(this.view(), this.place);
    if (focused && !focused.isConnected) this.place.querySelector("h1")?.focus({ preventScroll: true });
  }

  // Draws once, after all changes of this step.
  update() {
    if (this.isDue) return;
    this.isDue = true;
    queueMicrotask(() => this.draw());
  }

  set(changes) {
    Object.assign(this, changes);
    this.update();
  }

  say(status) {
    this.set({ status });
  }

  // Runs a step of a form. A failure is told beside the field that it names, else at the form's end.
  async run(form, step, fields = []) {
    this.set({ problem: null });
    try {
      return await step();
    } catch (failure) {
      if (failure.name === "AbortError" || this.isLeft) return undefined;
      this.tell(form, failure, fields);
      if (!(failure instanceof Failure)) throw failure;
      return undefined;
    }
  }

  tell(form, failure, fields = []) {
    const field = fields.includes(failure.param) ? failure.param : "";
    this.status = "";
    this.problem = { form, field, failure, wait: failure.wait };
    this.draw();
    if (failure.wait) this.countDown(this.problem);
    const named = field ? this.place.querySelector(`#${form}-${field}`) : null;
    named?.closest("details")?.setAttribute("open", "");
    named?.focus();
  }

  // Once the wait is over, a page that could not be read is read.
  countDown(problem) {
    const timer = setInterval(() => {
      problem.wait -= 1;
      const isOld = this.problem !== problem || this.isLeft;
      if (problem.wait <= 0 || isOld) clearInterval(timer);
      if (problem.wait <= 0 && !isOld) this.reopen();
      this.update();
    }, 1000);
  }

  // Opens the list of voices. `chosen` tells the one that is so far, if that is not the draft's.
  async openPicker(onChoice, chosen) {
    const module = await loaded(() => import("./picker.js"));
    if (!module || this.isLeft) return;
    this.picker ??= new module.VoicePicker(this, onChoice, chosen);
    this.picker.open();
  }

  // The failure of a form, or of one of its fields, where it is to be seen.
  alert(form, field = "") {
    const { problem } = this;
    if (problem?.form !== form || problem.field !== field) return nothing;
    const wait = problem.wait > 0 ? html` <span class="num">${t("failure.wait", { n: problem.wait })}</span>` : nothing;
    return html`<p class="note bad" role="alert" id="${form}-${field || "end"}-alert">${icon("info")}<span>${failureText(problem.failure)}${wait}</span></p>`;
  }

  // What was told of a field is over once it is changed.
  mended(form, field) {
    if (this.problem?.form === form && this.problem.field === field) this.set({ problem: null });
  }

  isWrong(form, field) {
    return String(this.problem?.form === form && this.problem.field === field);
  }

  // A field with its label: its control has the id `form-name`.
  field(form, name, label, control, hint = nothing) {
    return html`<div class="field" @input=${() => this.mended(form, name)}>
      <label for="${form}-${name}">${label}</label>
      ${control}
      ${hint === nothing ? nothing : html`<p class="hint" id="${form}-${name}-hint">${hint}</p>`}
      ${this.alert(form, name)}
    </div>`;
  }

  // A field of one line. `more` may have type, value, placeholder, max, and what to do with a change.
  input(form, name, label, { type = "text", value = "", placeholder = "", max = 200, hint = nothing, change }) {
    const control = html`<input id="${form}-${name}" type=${type} .value=${live(value)} placeholder=${placeholder} maxlength=${max}
      autocomplete="off" aria-invalid=${this.isWrong(form, name)} @input=${(event) => change(event.target.value)}>`;
    return this.field(form, name, label, control, hint);
  }

  // A choice. `options` are pairs of value and text.
  choice(form, name, label, { value, options, hint = nothing, disabled = false, change }) {
    const control = html`<select id="${form}-${name}" ?disabled=${disabled} aria-invalid=${this.isWrong(form, name)}
      @change=${(event) => change(event.target.value)}>${optionsOf(options, value)}</select>`;
    return this.field(form, name, label, control, hint);
  }

  statusLine() {
    return html`<p class="quiet" role="status">${this.status}</p>`;
  }

  heading(...more) {
    return html`<div class="top"><h1 tabindex="-1">${this.title()}</h1>${more}</div>`;
  }
}
