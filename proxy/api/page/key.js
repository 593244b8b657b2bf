"use strict";
// The key: from the link that `make serve` prints, or typed. This tab keeps it until it is closed.

const KEPT = "voxgate-key";

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
    if (key) sessionStorage.setItem(KEPT, key);
    else sessionStorage.removeItem(KEPT);
  } catch {
    return;
  }
}

function keptKey() {
  try {
    return sessionStorage.getItem(KEPT) ?? "";
  } catch {
    return "";
  }
}

// A dialog tells of its end a moment after it has closed.
let lastQuestion = Promise.resolve();

// A link of somebody else must not have a reader type into that one's account: another key is asked about.
async function isTaken(linked, kept) {
  if (!linked || linked === kept) return false;
  if (!kept) return true;
  const dialog = at("other");
  if (!dialog.open) await lastQuestion;
  if (dialog.open) return false;
  dialog.returnValue = "";
  dialog.showModal();
  at("other-keep").focus();
  await (lastQuestion = new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true })));
  return dialog.returnValue === "use";
}
