// A list of the API, the newest first, a page at a time.

import { read } from "./api.js";
import { html, nothing } from "./lit.js";
import { t } from "./texts.js";

const EACH = 50;

export class Listing {
  constructor(page, path, query = {}) {
    Object.assign(this, { page, path, query, rows: [], hasMore: false, last: "", isRead: false });
  }

  async more() {
    const { data, has_more: hasMore, last_id: last } = await read(this.path, { query: { ...this.query, limit: EACH, after: this.last }, signal: this.page.signal });
    Object.assign(this, { rows: [...this.rows, ...data], hasMore, last, isRead: true });
    this.page.update();
  }

  // Reads it from its beginning.
  async refresh(query = this.query) {
    Object.assign(this, { query, rows: [], last: "" });
    await this.more();
  }

  // One row has changed. Without `now` it is gone.
  put(id, now) {
    this.rows = now ? this.rows.map((row) => (row.id === id ? now : row)) : this.rows.filter((row) => row.id !== id);
    this.page.update();
  }

  // What stands below the rows.
  foot(form) {
    if (!this.isRead) return nothing;
    if (!this.rows.length) return html`<p class="quiet">${t("list.empty")}</p>`;
    if (!this.hasMore) return nothing;
    return html`<div class="row"><button type="button" @click=${() => this.page.run(form, () => this.more())}>${t("list.more")}</button></div>`;
  }
}
