// A recording in; its sound, and the place that is played as often as the screen is drawn, out.

import { Waveform, loudness } from "./waveform.js";
import { clock, el } from "./element.js";

const PLAY = "M8 5.5v13l11-6.500z";
const PAUSE = "M7 5h4v14H7zM13.500 5h4v14h-4z";
/** What a key moves, in seconds. */
const KEYS = { ArrowRight: 2, ArrowUp: 2, ArrowLeft: -2, ArrowDown: -2, PageUp: 15, PageDown: -15 };
const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 2];

export class Player {
  #audio = el("audio", { preload: "auto" });
  #seconds = 0;
  #url = "";
  #file = null;

  /** `moved(seconds)` is told whenever the place changes; `icon` draws a path. */
  constructor(moved, icon) {
    this.moved = moved;
    this.shape = icon(PLAY);
    this.button = el(
      "button",
      { type: "button", class: "play", "aria-label": "Play", onclick: () => this.toggle() },
      this.shape.svg,
    );
    this.canvas = el("canvas", { class: "wave", "aria-hidden": true });
    this.range = el("input", { type: "range", min: 0, max: 1, step: "any", value: 0, "aria-label": "Position in the recording" });
    this.time = el("span", { class: "time" });
    this.speed = el(
      "select",
      { "aria-label": "Speed", onchange: () => (this.#audio.playbackRate = Number(this.speed.value)) },
      SPEEDS.map((speed) => el("option", { value: speed, selected: speed === 1 }, `${speed}×`)),
    );
    this.note = el("p", { class: "hint", hidden: true }, "This browser cannot play this file; the text is not the worse for it.");
    this.waveform = new Waveform(this.canvas);
    this.element = el(
      "div",
      { class: "player" },
      this.button,
      el("div", { class: "track" }, this.canvas, this.range),
      el("div", { class: "dials" }, this.time, this.speed),
      this.note,
    );
    this.range.addEventListener("input", () => this.seek(Number(this.range.value)));
    this.range.addEventListener("keydown", (event) => {
      if (!KEYS[event.key]) return;
      event.preventDefault();
      this.seek(this.#audio.currentTime + KEYS[event.key]);
    });
    const audio = this.#audio;
    for (const event of ["play", "pause", "ended"]) audio.addEventListener(event, () => this.#turned());
    audio.addEventListener("seeked", () => this.#moved());
    audio.addEventListener("loadedmetadata", () => this.#measured());
    audio.addEventListener("durationchange", () => this.#measured());
    audio.addEventListener("error", () => (this.note.hidden = !this.#url));
  }

  /** Another recording, or none. `known(seconds)` is told how long it is, as soon as the browser knows. */
  async load(file, known) {
    this.#audio.pause();
    if (this.#url) URL.revokeObjectURL(this.#url);
    [this.#file, this.#url, this.#seconds, this.known] = [file, "", 0, known];
    this.note.hidden = true;
    this.waveform.set({ points: null, spans: [], seconds: 0 });
    this.waveform.at(0);
    this.#show(0);
    if (!file) return;
    this.#url = URL.createObjectURL(file);
    this.#audio.src = this.#url;
    this.#audio.playbackRate = Number(this.speed.value);
    await new Promise((resolve) => {
      for (const event of ["loadedmetadata", "error"]) this.#audio.addEventListener(event, resolve, { once: true });
    });
    const heard = this.#file === file ? await loudness(file, this.#seconds) : null;
    if (!heard || this.#file !== file) return;
    this.long(heard.seconds);
    this.waveform.set({ points: heard.points });
  }

  /** What a recorder makes does not say how long it is; the server and the decoder do. */
  long(seconds) {
    if (!(seconds > 0) || !Number.isFinite(seconds)) return;
    this.#seconds = seconds;
    this.range.max = seconds;
    this.waveform.set({ seconds });
    this.#show(this.#audio.currentTime);
    this.known?.(seconds);
  }

  spans(spans) {
    this.waveform.set({ spans });
  }

  seek(seconds, play = false) {
    this.#audio.currentTime = Math.max(0, this.#seconds ? Math.min(seconds, this.#seconds) : seconds);
    this.#moved();
    if (play) this.#audio.play().catch(() => {});
  }

  toggle() {
    if (this.#audio.paused) this.#audio.play().catch(() => {});
    else this.#audio.pause();
  }

  get playing() {
    return !this.#audio.paused;
  }

  #measured() {
    if (Number.isFinite(this.#audio.duration) && !this.#seconds) this.long(this.#audio.duration);
  }

  #turned() {
    this.shape.draw(this.playing ? PAUSE : PLAY);
    this.button.setAttribute("aria-label", this.playing ? "Pause" : "Play");
    if (this.playing) this.#follow();
    else this.#moved();
  }

  #follow() {
    if (!this.playing) return;
    this.#moved();
    requestAnimationFrame(() => this.#follow());
  }

  #moved() {
    const now = this.#audio.currentTime;
    this.#show(now);
    this.waveform.at(now);
    this.moved(now, this.playing);
  }

  #show(now) {
    this.range.value = now;
    this.range.setAttribute("aria-valuetext", `${clock(now)} of ${clock(this.#seconds)}`);
    this.time.textContent = `${clock(now, true)} / ${clock(this.#seconds)}`;
  }
}
