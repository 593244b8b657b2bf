// Trainings that are watched as long as this tab is open, whichever page it shows: its title tells the end, and a
// notification does if the reader wants one.

import { entitle } from "../core/page.js";
import { follow } from "./job_facts.js";
import { refreshAccount } from "../core/account.js";
import { Failure } from "../core/api.js";
import { forgetCatalogue } from "../core/catalogue.js";
import { t } from "../core/texts.js";

const watched = new Set();
// The page that draws what comes.
let shown = null;

export function show(page) {
  shown = page;
}

export function canNotify() {
  return "Notification" in window && Notification.permission === "default";
}

// A browser asks its reader only after a click.
export async function askToNotify() {
  await Notification.requestPermission();
}

export async function watchTraining(id, name) {
  if (watched.has(id)) return;
  watched.add(id);
  const aborter = new AbortController();
  document.addEventListener("reader", () => aborter.abort(), { once: true });
  try {
    for await (const job of follow(id, aborter.signal, (isBroken) => shown?.job?.id === id && shown.set({ isBroken }))) {
      if (job.ended) tell(job, name);
      shown?.took(job);
    }
  } catch (failure) {
    if (aborter.signal.aborted) return;
    if (!(failure instanceof Failure)) throw failure;
    if (shown?.job?.id === id) shown.tell("train", failure);
  } finally {
    watched.delete(id);
  }
}

function tell({ status, training }, name) {
  forgetCatalogue();
  refreshAccount();
  if (status === "canceled") return;
  const text = status === "done" ? t("train.over", { name }) : t("train.failed", { name });
  entitle(text);
  if (!("Notification" in window) || Notification.permission !== "granted") return;
  try {
    const notice = new Notification(text, { tag: training.voice });
    notice.addEventListener("click", () => {
      focus();
      location.hash = `#/train/${training.voice}`;
    });
  } catch {
    // A phone's browser lets only a service worker notify. The title tells it.
  }
}
