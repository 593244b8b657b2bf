// Admin: the consents that wait until an operator accepts them.

import { about, accountLink, AdminList } from "./admin_parts.js";
import { download } from "../core/api.js";
import { html, nothing } from "../core/lit.js";
import { icon } from "../core/page.js";
import { languageName, moment, t } from "../core/texts.js";

export default class ConsentsPage extends AdminList {
  constructor(path) {
    super(path, "admin/consents");
    this.list.query.waits = true;
  }

  before() {
    return html`<p class="quiet">${t("admin.consents_text")}</p>`;
  }

  row(consent) {
    const { name, account, language, created_at: made, kind, statement, words, accepted_at: accepted, id } = consent;
    const facts = [languageName(language), moment(made), id].join(" · ");
    const said = kind === "recording" ? t(`voices.words.${words}`) : statement;
    const way = { path: "/accept", yes: t("admin.accept"), name, text: said };
    const save = t("player.save", { format: "WAV" });
    return html`${about(name, html`${accountLink(account)} · ${facts}`, said)}
      ${kind === "recording" ? html`<button class="round plain" aria-label="${save}: ${name}" title=${save} @click=${() => this.run("rows", () => download(`admin/consents/${encodeURIComponent(id)}/recording`, `${id}.wav`))}>${icon("down")}</button>` : nothing}
      ${accepted ? html`<span class="tag good">${t("voices.accepted")}</span>`
        : html`<button class="plain" aria-label="${way.yes}: ${name}" @click=${() => this.act(consent, way)}>${way.yes}</button>`}`;
  }
}
