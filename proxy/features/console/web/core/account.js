// The account's credits, read again after whatever changes them. The frame shows them.

import { read } from "./api.js";
import { session } from "./session.js";

export async function refreshAccount() {
  if (!session.me) return;
  session.me = await read("v1/me").catch(() => session.me);
  document.dispatchEvent(new Event("account"));
}
