// A list of the API, the newest first, a page at a time.

import { read } from "./api.js";
import { html, nothing } from "./lit.js";
import { t } from "./texts.js";

const EACH = 50;
const MOST = 1000;

export class Listing {
  constructor(page, path, query = {}, most = MOST) {
    Object.assign(this, { page, path, query, most, rows: [], hasMore: true, last: "", isRead: false, reading: null });
  }

  // Reads the next rows.
  more() {
    return this.inTurn(() => this.hasMore && this.read(EACH, this.last));
  }

  // Reads what is shown anew, from its beginning.
  refresh() {
    return this.inTurn(() => this.read(Math.min(this.most, Math.max(EACH, this.rows.length))));
  }

  // Each reading goes on from where the one before has ended.
  inTurn(step) {
    return (this.reading = Promise.resolve(this.reading).catch(() => {}).then(step));
  }

  async read(limit, after) {
    const { data, has_more: hasMore, last_id: last } = await read(this.path, { query: { ...this.query, limit, after }, signal: this.page.signal });
    Object.assign(this, { rows: after ? [...this.rows, ...data] : data, hasMore, last, isRead: true });
    this.page.update();
    await this.page.listed?.(data);
  }

  // One row has changed. Without `now` it is gone, and the rows behind it are found by the one before it.
  put(id, now) {
    if (!now && id === this.last) this.last = this.rows.at(-2)?.id ?? "";
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
