"use strict";
// The key: from the link that `make serve` prints, or typed. This tab keeps it until it is closed.

const KEPT = "voxgate-key";
const LINKED = "voxgate-key-is-linked";

// A fragment is sent to nobody, but it is shown, copied and kept: so it goes at once.
function takeLinkedKey() {
  const linked = /^#key=(.+)$/.exec(location.hash);
  if (!linked) return "";
  history.replaceState(null, "", location.pathname + location.search);
  try {
    return decodeURIComponent(linked[1]).trim();
  } catch {
    return "";
  }
}

// A browser may forbid to keep anything. Then a reload asks for the key again.
function keep(key) {
  try {
    sessionStorage.setItem(KEPT, key);
    sessionStorage.setItem(LINKED, key === linkedKey ? key : "");
  } catch {
    return;
  }
}

function keptKey(name = KEPT) {
  try {
    return sessionStorage.getItem(name) ?? "";
  } catch {
    return "";
  }
}

// The key of a link, until the reader has agreed to upload with it. A reload does not make it the reader's own.
let linkedKey = keptKey(LINKED);

// A dialog tells of its end a moment after it has closed.
let lastQuestion = Promise.resolve();

async function agrees(title, text, no, yes) {
  const dialog = at("other");
  if (!dialog.open) await lastQuestion;
  if (dialog.open) return false;
  Object.entries({ title, text, keep: no, use: yes }).forEach(([part, words]) => { at(`other-${part}`).textContent = words; });
  dialog.returnValue = "";
  dialog.showModal();
  at("other-keep").focus();
  await (lastQuestion = new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true })));
  return dialog.returnValue === "use";
}

// A link of somebody else must not have a reader type into that one's account: another key is asked about.
async function isTaken(linked, kept) {
  if (!linked || linked === kept) return false;
  const text = "This tab has another key by now. What you make with the link's key belongs to its account, and whoever gave you the link may see it.";
  return !kept || agrees("Use the key of this link?", text, "Keep mine", "Use the link's key");
}

// To speak needs no question, but a recording in a stranger's account is the stranger's.
async function mayUpload(key) {
  if (key !== linkedKey) return true;
  const { account } = await (await ask("me", key)).json();
  const text = "Your key came with a link. What you upload belongs to this account, and whoever gave you the link may have it.";
  if (!(await agrees(`Upload to the account “${account.name}”?`, text, "Do not upload", "Upload"))) return false;
  linkedKey = "";
  keep(key);
  return true;
}
