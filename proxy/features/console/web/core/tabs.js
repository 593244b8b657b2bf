// Links between pages that belong together, above their contents. Each is a page of the frame.

import { html, nothing } from "./lit.js";
import { t } from "./texts.js";

export function tabs(label, names, now) {
  return html`<nav class="tabs" aria-label=${label}>
    ${names.map((name) => html`<a href="#/${name}" aria-current=${name === now ? "page" : nothing}>${t(`frame.${name}`)}</a>`)}
  </nav>`;
}
