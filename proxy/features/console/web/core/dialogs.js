// Questions: what is about to happen, and two buttons. The focus begins on the one that changes nothing.

import { html, nothing, render } from "./lit.js";

let last = Promise.resolve();

// Opens a dialog and returns what its button said: "" unless the reader agreed. `check` is a further choice
// beside it, and `read` tells whether it was made.
export async function agrees({ title, text, no, yes, isDanger = false, check = "" }) {
  // A dialog tells of its end a moment after it has closed.
  await last;
  const dialog = document.getElementById("question");
  const template = html`<form method="dialog" class="stack">
    <h2 id="question-title">${title}</h2>
    <div id="question-text">${text}</div>
    ${check ? html`<label class="tick"><input type="checkbox" id="question-check">${check}</label>` : nothing}
    <div class="row">
      <button id="question-no" value="no" autofocus>${no}</button>
      <button id="question-yes" class=${isDanger ? "danger" : "first"} value="yes">${yes}</button>
    </div>
  </form>`;
  render(template, dialog);
  dialog.returnValue = "";
  dialog.showModal();
  dialog.querySelector("#question-no").focus();
  await (last = new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true })));
  const isAgreed = dialog.returnValue === "yes";
  const isChecked = Boolean(dialog.querySelector("#question-check")?.checked);
  render(nothing, dialog);
  return isAgreed && { isChecked };
}
