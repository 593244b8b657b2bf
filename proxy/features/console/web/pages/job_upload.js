// Files of jobs: each is uploaded once, with its progress, which fetch does not tell.

import { Failure, read, root } from "../core/api.js";
import { html, nothing } from "../core/lit.js";
import { icon } from "../core/page.js";
import { credentials, session } from "../core/session.js";
import { number, t } from "../core/texts.js";

const MIB = 1024 * 1024;
const MOST_MIB = 64;

// Uploads a file for jobs, and returns what the server knows of it. `progress` gets the share that is sent.
export async function upload(file, { signal, progress = () => {} }) {
  if (file.size > MOST_MIB * MIB) throw new Failure({ message: t("recorder.large", { most: MOST_MIB }) });
  const form = new FormData();
  form.append("purpose", "user_data");
  form.append("file", file, file.name);
  const request = new XMLHttpRequest();
  request.open("POST", `${root}/files`);
  request.responseType = "json";
  for (const [name, value] of Object.entries(credentials(session.key).headers)) request.setRequestHeader(name, value);
  request.upload.addEventListener("progress", ({ loaded, total }) => progress(loaded / total));
  const answered = new Promise((resolve, reject) => {
    request.addEventListener("load", resolve);
    request.addEventListener("error", () => reject(new Failure({ message: t("failure.unreachable"), code: "unreachable" })));
    request.addEventListener("abort", () => reject(new DOMException("", "AbortError")));
  });
  const stop = () => request.abort();
  signal.addEventListener("abort", stop);
  request.send(form);
  await answered.finally(() => signal.removeEventListener("abort", stop));
  // A key or a session that has ended opens the door.
  if (request.status === 401) await read("v1/me", { signal });
  if (request.status >= 300) throw new Failure(request.response?.error ?? { message: t("failure.status", { status: request.status }) }, request.status);
  return request.response;
}

// The field of a file: nothing yet, an upload under way, or a file that is there. It takes what is dropped on it.
export function fileField(page, name, { label, hint, accept, isOptional = false }) {
  const { [name]: file } = page.form.files;
  const { [name]: going } = page.uploads;
  const choose = html`<label class="button file ${file || isOptional ? "plain" : ""}">${icon("plus")} ${file ? t("jobs.file_other") : t("recorder.file")}<input type="file" id="job-${name}" accept=${accept}
    aria-label="${label}: ${t("recorder.file")}" aria-invalid=${page.isWrong("job", name)} @change=${({ target }) => { page.take(name, target.files[0]); target.value = ""; }}></label>`;
  const drop = (event) => {
    event.preventDefault();
    page.set({ over: "" });
    page.take(name, event.dataTransfer.files[0]);
  };
  return html`<div class="field drop ${page.over === name ? "over" : ""}" @dragover=${() => page.over === name || page.set({ over: name })} @dragleave=${() => page.set({ over: "" })} @drop=${drop}>
    <strong>${label}${isOptional ? html` <span class="quiet small">${t("jobs.optional")}</span>` : nothing}</strong>
    ${going ? html`<div class="row line"><span class="name small">${going.name}</span><progress class="wide" max="1" value=${going.share} aria-label=${t("jobs.progress", { name: going.name })}></progress>
        <button type="button" class="plain" id="job-${name}-stop" @click=${() => going.aborter.abort()}>${t("voices.cancel")}</button></div>`
      : html`<div class="row">${file ? html`<span class="name" id="job-${name}-name">${file.name} <span class="quiet small num">${sizeText(file.bytes)}</span></span>` : nothing}${choose}
        ${file && isOptional ? html`<button type="button" class="round plain" aria-label=${t("jobs.file_less", { name: file.name })} @click=${() => page.takeAway(name)}>${icon("close")}</button>` : nothing}</div>`}
    <p class="hint">${hint}</p>${page.alert("job", name)}</div>`;
}

function sizeText(bytes) {
  return bytes < MIB / 10 ? `${number(Math.ceil(bytes / 1024), 0)} kB` : `${number(bytes / MIB, 1)} MiB`;
}
