// A secret that is shown once: a key, or the link of an invitation.

import { html, nothing } from "./lit.js";
import { t } from "./texts.js";

// It is nowhere else, so the focus goes to the button that copies it.
export function showSecret(page, title, text) {
  page.secret = { title, text };
  page.draw();
  page.place.querySelector("#secret-copy").focus();
}

// `secret` has a `title` and the `text`. `close` is what to do once it is put away.
export function secretCard(page, secret, close) {
  if (!secret) return nothing;
  const copy = async () => {
    // Without TLS only this machine may write the clipboard. The text is marked, too, so that a hand can copy it.
    page.place.querySelector("#secret").select();
    const isCopied = await navigator.clipboard?.writeText(secret.text).then(() => true, () => false);
    page.say(t(isCopied ? "speak.copied" : "secret.marked"));
  };
  return html`<section class="card stack" id="secret-card" aria-labelledby="secret-title"><h2 id="secret-title">${secret.title}</h2>
    <p>${t("secret.once")}</p>
    <input id="secret" class="wide" readonly spellcheck="false" autocomplete="off" aria-labelledby="secret-title" .value=${secret.text}>
    <div class="row"><button class="first" id="secret-copy" @click=${copy}>${t("secret.copy")}</button>
      <button @click=${close}>${t("secret.done")}</button></div>
  </section>`;
}
