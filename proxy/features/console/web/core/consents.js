// The consents of the account that allow a use of a voice.

import { read } from "./api.js";

const PAGE = 100;

export async function consentsFor(use) {
  const found = [];
  for (let page = { has_more: true }; page.has_more; found.push(...page.data)) {
    page = await read("v1/audio/voice_consents", { query: { limit: PAGE, after: page.last_id } });
  }
  return found.filter(({ uses }) => uses.includes(use));
}
