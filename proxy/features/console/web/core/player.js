// The one player. What Speak has spoken is played in its card. The dock at the bottom has all other sounds, and this
// one on other pages or while its card is out of sight.

import { saveBlob } from "./api.js";
import { html, nothing, render } from "./lit.js";
import { failureText, icon } from "./page.js";
import { LiveSound, peaksOf, samplesOf, wavOf } from "./sound.js";
import { t } from "./texts.js";

const BARS = 120;
// As samples, a long sound would fill the memory. It is played without its picture.
const MOST_DRAWN_BYTES = 8 * 1024 * 1024;

// One sound: `title` is shown, `name` is its file's. One that Speak has `isSpoken` has a card there. `words` have their place in `text` and their times. Until
// it is whole, `live` plays its pieces as they come. `aborter` tells whoever fetches it that it was stopped.
class Clip {
  constructor({ title, name, text = "", isSpoken = false }) {
    Object.assign(this, { title, name, isSpoken, letters: [...text], words: [], peaks: [], blob: null, live: null, length: 0 });
    this.aborter = new AbortController();
  }
}

class Player {
  constructor() {
    this.clip = null;
    // What became of a sound whose page is not shown any more.
    this.failure = null;
    this.turn = 0;
    this.audio = new Audio();
    this.isFollowing = false;
    // The card of Speak: its place for the player, null while there is no card, and undefined on other pages.
    Object.assign(this, { card: undefined, spoken: null, isSeen: true });
    this.watch = new IntersectionObserver(([{ intersectionRatio: share }]) => {
      this.isSeen = share > 0.5;
      this.draw();
    }, { threshold: 0.5 });
    for (const kind of ["play", "pause", "ended", "seeked"]) this.audio.addEventListener(kind, () => this.follow());
    document.addEventListener("reader", () => this.stop());
  }

  mount(place) {
    this.place = place;
    this.draw();
  }

  // Takes the place in the card, and the sound that it is about.
  settle(card, spoken = null) {
    this.spoken = spoken;
    if (card !== this.card) {
      this.watch.disconnect();
      if (card) this.watch.observe(card);
      Object.assign(this, { card, isSeen: true });
    }
    this.draw();
  }

  // Begins a sound that comes in pieces of PCM, and returns what takes them.
  open(about) {
    this.stop();
    const clip = Object.assign(new Clip(about), { live: new LiveSound() });
    this.clip = clip;
    this.follow();
    return clip;
  }

  // The sound is whole: it can be heard again, and kept.
  close(clip) {
    clip.blob = wavOf(clip.live.parts);
    clip.length = clip.live.seconds;
    clip.peaks = peaksOf(clip.live.parts, BARS);
    clip.live.close();
    clip.live = null;
    if (this.clip === clip) this.load();
  }

  // Silences all for a sound that is fetched, and returns its turn.
  claim() {
    this.stop();
    return this.turn;
  }

  // Plays a sound that is whole, unless another one has begun since its turn. Returns what is played, or null.
  async play(about, blob, turn) {
    if (turn !== this.turn) return null;
    this.stop();
    const clip = Object.assign(new Clip(about), { blob });
    this.clip = clip;
    this.load();
    this.audio.play().catch(() => {});
    const samples = blob.size <= MOST_DRAWN_BYTES && (await samplesOf(blob));
    if (samples) {
      clip.peaks = peaksOf([samples], BARS);
      this.draw();
    }
    return clip;
  }

  // Plays a sound that was heard before.
  again(clip) {
    this.stop();
    this.clip = clip;
    this.load();
    this.audio.play().catch(() => {});
  }

  load() {
    URL.revokeObjectURL(this.audio.src);
    this.audio.src = URL.createObjectURL(this.clip.blob);
    this.draw();
  }

  tell(failure) {
    this.failure = failure;
    this.draw();
  }

  // Silences all, and empties the dock.
  stop() {
    this.turn += 1;
    this.clip?.live?.close();
    this.clip?.aborter.abort();
    this.clip = this.failure = null;
    this.audio.pause();
    this.draw();
  }

  get seconds() {
    const { clip, audio } = this;
    return clip.live ? clip.live.seconds : clip.length || (Number.isFinite(audio.duration) ? audio.duration : 0);
  }

  get isMoving() {
    return Boolean(this.clip) && (Boolean(this.clip.live) || !this.audio.paused);
  }

  // Draws once a frame, while something moves.
  follow() {
    this.draw();
    if (this.isFollowing || !this.isMoving) return;
    this.isFollowing = true;
    requestAnimationFrame(() => {
      this.isFollowing = false;
      this.follow();
    });
  }

  toggle() {
    if (this.audio.paused) this.audio.play();
    else this.audio.pause();
  }

  seek(seconds) {
    this.audio.currentTime = seconds;
    this.draw();
  }

  // The card of a sound that is still asked for is that of the sound before.
  get isDocked() {
    const { clip, card } = this;
    return Boolean(clip) && !(clip.isSpoken && (card === null || (card && this.isSeen)));
  }

  draw() {
    if (!this.place) return;
    const { clip, card, spoken } = this;
    const focused = document.activeElement?.id;
    if (card) render(spoken ? this.inCard(spoken) : nothing, card);
    render(this.isDocked ? this.dock(clip) : clip ? nothing : this.problem(), this.place);
    if (focused?.startsWith("player-") && document.activeElement.id !== focused) document.getElementById(focused)?.focus({ preventScroll: true });
    const word = card?.querySelector(".heard");
    const words = word?.parentElement;
    if (word && (word.offsetTop < words.scrollTop || word.offsetTop + word.offsetHeight > words.scrollTop + words.clientHeight)) words.scrollTop = word.offsetTop;
  }

  problem() {
    if (!this.failure) return nothing;
    return html`<section class="dock" aria-label=${t("player.title")}><p class="note bad" role="alert">${icon("info")}<span>${failureText(this.failure)}</span>
      <button class="plain" @click=${() => this.stop()}>${t("player.close")}</button></p></section>`;
  }

  dock(clip) {
    return html`<section class="dock" aria-label=${t("player.title")}><p class="small title">${clip.title}</p>
      ${this.row(clip, html`<button class="round plain" aria-label=${t("player.save", { format: clip.name.split(".").pop().toUpperCase() })} ?disabled=${!clip.blob} @click=${() => saveBlob(clip.blob, clip.name)}>${icon("down")}</button>
        <button class="round plain" aria-label=${t("player.close")} @click=${() => this.stop()}>${icon("close")}</button>`)}
    </section>`;
  }

  inCard(clip) {
    return html`${this.isDocked && clip === this.clip ? nothing : this.row(clip)}
      ${clip.words.length ? this.words(clip) : nothing}${clip.check ? checkedText(clip.check) : nothing}`;
  }

  placeOf(clip) {
    if (clip !== this.clip) return 0;
    return clip.live ? clip.live.position : this.audio.currentTime;
  }

  // Where another sound is played, this one has the names of no controls.
  row(clip, more = nothing) {
    const isNow = clip === this.clip;
    const position = this.placeOf(clip);
    const seconds = isNow ? this.seconds : clip.length;
    const isPlaying = isNow && (clip.live || !this.audio.paused);
    const clock = t("player.clock", { at: position.toFixed(1), of: seconds.toFixed(1) });
    const id = (name) => (isNow || !this.clip ? `player-${name}` : nothing);
    if (clip.live) clip.peaks = clip.live.peaks(BARS);
    return html`<div class="row line">
        <button class="round first" id=${id("play")} aria-label=${isPlaying ? t("player.pause") : t("player.play")} ?disabled=${!clip.blob}
          @click=${() => (isNow ? this.toggle() : this.again(clip))}>${icon(isPlaying ? "pause" : "play")}</button>
        <div class="wide">${wave(clip.peaks, seconds ? position / seconds : 0)}
          <input type="range" id=${id("seek")} min="0" max=${seconds || 1} step="0.01" .value=${String(position)} ?disabled=${!isNow || Boolean(clip.live)}
            aria-label=${t("player.position")} aria-valuetext=${clock} @input=${(event) => this.seek(Number(event.target.value))}></div>
        <span class="num quiet small" id=${id("clock")}>${clock}</span>${more}
      </div>`;
  }

  // The text with the word that is heard now.
  words(clip) {
    const position = this.placeOf(clip);
    const isOver = clip !== this.clip || (!clip.live && this.audio.paused && (this.audio.ended || position === 0));
    const now = isOver ? -1 : clip.words.findLastIndex(({ start_seconds: start }) => start <= position);
    let end = 0;
    const parts = clip.words.map(({ source_start: from, source_end: to }, index) => {
      const before = clip.letters.slice(end, from).join("");
      const isWrong = clip.check?.wrong?.some((each) => each.start < to && each.end > from);
      end = to;
      return html`${before}<span class="${index === now ? "heard" : ""} ${isWrong ? "wrong" : ""}">${clip.letters.slice(from, to).join("")}</span>`;
    });
    return html`<p class="words" tabindex="0" role="group" aria-label=${t("player.words")}>${parts}${clip.letters.slice(end).join("")}</p>`;
  }
}

// The words that a check has found, as they should be and as they were heard.
export const wordsText = (result, words) => t(`player.${result}`, { words: words.map(({ wanted, heard }) => t("player.heard_as", { wanted, heard })).join(", ") });

const checkedText = (check) => html`<p class="quiet small" id="player-checked" role="status">${[check.checked_s ? t("player.checked") : t("player.unchecked"),
  ...["wrong", "unsure"].filter((result) => check[result]?.length).map((result) => wordsText(result, check[result]))].join(". ")}</p>`;

function wave(peaks, share) {
  const most = Math.max(0.05, ...peaks);
  const rects = peaks.map((peak, bar) => {
    const height = 2 + 34 * (peak / most);
    return { x: bar * 6, y: 18 - height / 2, height, isOn: bar / BARS < share };
  });
  const path = (isOn) => rects.filter((each) => each.isOn === isOn).map(({ x, y, height }) => `M${x} ${y.toFixed(1)}h3.5v${height.toFixed(1)}h-3.5z`).join("");
  return html`<svg class="wave" viewBox="0 0 720 36" preserveAspectRatio="none" role="img" aria-label=${t("player.wave")}>
    <path class="on" d=${path(true)}></path><path class="off" d=${path(false)}></path></svg>`;
}

export const player = new Player();
