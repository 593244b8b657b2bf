// One long recording for a training: its price is told, then it is cut into clips.

import { follow, jobPath, note, priceText, progressBar } from "./job_facts.js";
import { refreshAccount } from "../core/account.js";
import { Failure, read } from "../core/api.js";
import { mayUpload } from "../core/door.js";
import { html, nothing } from "../core/lit.js";
import { session } from "../core/session.js";
import { t } from "../core/texts.js";

function send(page) {
  const { take } = page.cutter;
  if (!take || page.isCutting) return null;
  return page.run("cut", async () => {
    if (!(await mayUpload()) || page.isLeft) return;
    page.set({ isCutting: true, cut: null, report: null });
    const form = { title: page.title(), file: take };
    const made = await read(`${page.url}/samples`, { query: { cut: "true" }, form, headers: page.onceCut.of(form) });
    for await (const cut of follow(made.id, page.signal)) page.set({ cut });
    refreshAccount();
    if (page.cut.status !== "done") throw new Failure({ message: page.cut.error });
    const report = await read(`${jobPath(made.id)}/content`);
    await page.readSamples();
    page.cutter.clear();
    page.set({ report });
  }, ["file"]).finally(() => page.set({ isCutting: false }));
}

export function cutCard(page) {
  const { cutter, cut, report, isCutting } = page;
  const price = priceText(session.me?.prices.transcription, cutter.length);
  return html`<section class="card stack" id="train-cut" aria-labelledby="train-cut-title"><h2 id="train-cut-title">${t("train.cut")}</h2>
    ${cutter.view(t("marks.file"), t("train.cut_text"), isCutting)}
    <div class="row apart"><span class="quiet small num" id="train-cut-price" role="status">${price}</span>
      <button id="train-cut-go" ?disabled=${!cutter.take || isCutting} @click=${() => send(page)}>${t("train.cut_go")}</button></div>
    ${isCutting && cut ? progressBar(cut) : nothing}
    ${report ? note(t("train.cut_done", { n: report.clips, out: report.pieces.length - report.clips }), "calm", "train-cut-done") : nothing}
    ${page.alert("cut")}
  </section>`;
}
