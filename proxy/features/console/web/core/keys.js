// What lists of API keys share.

import { ask } from "./api.js";
import { agrees } from "./dialogs.js";
import { html, nothing } from "./lit.js";
import { day, t } from "./texts.js";

export function keyName({ name, hint }) {
  return name ? `${name} (…${hint})` : `…${hint}`;
}

export function isWorking({ revoked, expires }) {
  return !revoked && !(expires && new Date(expires) < new Date());
}

export function keyTag(key) {
  if (isWorking(key)) return html`<span class="tag good">${t("key.works")}</span>`;
  return html`<span class="tag">${key.revoked ? t("key.revoked") : t("key.expired")}</span>`;
}

export function keyFacts({ created, expires, caps, role }) {
  const own = Object.entries(caps).filter(([, most]) => most !== null);
  const limits = own.map(([name, most]) => `${name === "pace" ? name : t(`limit.${name}`)}: ${most}`);
  return [role === "speech" ? "" : role, t("key.made", { day: day(created) }), expires ? t("key.until", { day: day(expires) }) : "", ...limits].filter(Boolean).join(" · ");
}

// Ends a key, if the reader agrees. Returns the key as it is then.
export async function revoke(root, key) {
  const question = { title: `${t("key.revoke")}: ${keyName(key)}`, text: t("key.revoke_text"), no: t("word.no"), yes: t("key.revoke"), isDanger: true };
  if (!(await agrees(question))) return null;
  return (await ask(`${root}/${encodeURIComponent(key.id)}`, { method: "DELETE" })).json();
}

export function keyRow(key, buttons) {
  return html`<li class="row apart"><div class="about"><span class="name">${keyName(key)}</span><span class="quiet small">${keyFacts(key)}</span></div>
    <div class="row">${keyTag(key)}${isWorking(key) ? buttons : nothing}</div></li>`;
}
