// Links between pages that belong together, above their contents. Each is a page of the frame.

import { html, nothing } from "./lit.js";
import { hasFeature } from "./session.js";
import { t } from "./texts.js";

// The pages below one link of the frame, each with the feature that it needs, if any.
const AREAS = {
  voices: { voices: "", lexicons: "lexicons", mixes: "own_voices" },
  jobs: { jobs: "", tables: "jobs", webhooks: "webhooks" },
};

export function tabs(label, names, now) {
  return html`<nav class="tabs" aria-label=${label}>
    ${names.map((name) => html`<a href="#/${name}" aria-current=${name === now ? "page" : nothing}>${name === "admin" ? t("admin.overview") : t(`frame.${name}`)}</a>`)}
  </nav>`;
}

export function areaTabs(area, now = area) {
  const names = Object.keys(AREAS[area]).filter((name) => hasFeature(AREAS[area][name]));
  return names.length > 1 ? tabs(t(`frame.${area}`), names, now) : nothing;
}
