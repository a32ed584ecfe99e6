// A transcript in; its words to read, click, hear and edit, with what was left out and what is doubtful, out.

import { clock, el } from "./element.js";

/** Below it a word is marked. */
const DOUBTFUL = 0.5;
/** A word stays lit so many seconds beyond its end, or the light would flicker in the pauses between words. */
const LINGER = 0.35;
/** Segments from which on those out of sight are not laid out. */
const LONG = 200;
const DROPPED = {
  no_speech: "nobody seems to speak here",
  token_limit: "more was said here than fits into one window of the model",
  loop: "the model said the same again and again",
  prompt_echo: "the model repeated its prompt",
};
const RISKS = {
  silence: "may be silence",
  loop: "repeats itself",
  low_logprob: "the model was unsure",
  prompt_echo: "echoes the prompt",
  language_switch: "another language",
};

export class Transcript {
  #words = [];
  #lit = null;
  #row = null;

  /** `deeds.play(seconds)`, `deeds.edit(index, text)`. */
  constructor(deeds) {
    this.deeds = deeds;
    this.element = el("ol", {
      class: "segments",
      onkeydown: (event) => this.#steer(event),
      onclick: (event) => this.#clicked(event.target),
    });
  }

  clear() {
    this.element.replaceChildren();
    [this.#words, this.#lit, this.#row] = [[], null, null];
  }

  /** Text that came while the rest is being made: without times of words. */
  hear({ start, text }) {
    this.element.append(el("li", { class: "fresh" }, this.#time(start), el("p", {}, text)));
  }

  show(doc) {
    this.clear();
    const rows = doc.segments.map((segment, index) => ({ start: segment.start, element: this.#segment(segment, index) }));
    rows.push(...doc.dropped.map((passage) => ({ start: passage.start, element: this.#dropped(passage) })));
    this.element.append(...rows.sort((one, other) => one.start - other.start).map(({ element }) => element));
    this.element.classList.toggle("long", rows.length > LONG);
    this.#words = [...this.element.querySelectorAll("[data-start]")].map((element) => ({
      element,
      start: Number(element.dataset.start),
      end: Number(element.dataset.end),
    }));
    // One stop for the tab key; arrows go from word to word.
    this.#words[0]?.element.setAttribute("tabindex", "0");
  }

  /** The word that is said now is lit. */
  at(seconds, playing) {
    let [from, to] = [0, this.#words.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if (this.#words[middle].start <= seconds) from = middle + 1;
      else to = middle;
    }
    const word = this.#words[from - 1];
    const lit = word && seconds < word.end + LINGER && (playing || seconds > 0) ? word.element : null;
    if (lit === this.#lit) return;
    this.#lit?.classList.remove("lit");
    lit?.classList.add("lit");
    this.#lit = lit;
    const row = lit?.closest("li") ?? this.#row;
    if (row === this.#row) return;
    this.#row?.classList.remove("now");
    row?.classList.add("now");
    this.#row = row;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (playing && !this.element.querySelector("textarea"))
      row?.scrollIntoView({ block: "nearest", behavior: calm ? "auto" : "smooth" });
  }

  #time(start) {
    return el(
      "button",
      { type: "button", class: "from", "aria-label": `Play from ${clock(start)}`, onclick: () => this.deeds.play(start) },
      clock(start),
    );
  }

  #segment(segment, index) {
    const text = el("p", { lang: segment.language ?? undefined }, ...this.#written(segment));
    const edit = el(
      "button",
      {
        type: "button",
        class: "quiet edit",
        "aria-label": `Edit the text at ${clock(segment.start)}`,
        onclick: () => this.#edit(row, text, segment, index),
      },
      "Edit",
    );
    const marks = (segment.risk ?? []).map((risk) => el("span", { class: "mark" }, RISKS[risk] ?? risk));
    if (segment.edited) marks.push(el("span", { class: "mark edited" }, "edited"));
    const body = el("div", { class: "body" }, text, marks.length > 0 && el("p", { class: "marks" }, marks));
    const row = el(
      "li",
      { class: marks.length && !segment.edited ? "doubtful" : undefined },
      this.#time(segment.start),
      body,
      edit,
    );
    return row;
  }

  /** The segment's own text, with each word found in it: scripts without spaces stay without. */
  #written(segment) {
    const whole = segment.text.trim();
    const parts = [];
    let at = 0;
    for (const word of segment.words ?? []) {
      const found = whole.indexOf(word.word, at);
      if (found < 0 || typeof word.start !== "number") continue;
      parts.push(whole.slice(at, found), this.#word(word));
      at = found + word.word.length;
    }
    return [...parts, whole.slice(at)];
  }

  #word({ word, start, end, probability }) {
    const sure = typeof probability === "number";
    const doubtful = sure && probability < DOUBTFUL;
    const percent = sure ? `${Math.round(probability * 100)} % sure` : "no figure";
    const title = `${clock(start, true)} · ${percent}`;
    const given = {
      role: "button",
      tabindex: "-1",
      class: doubtful ? "word doubtful" : "word",
      title,
      "data-start": start,
      "data-end": end,
    };
    return el("span", given, word, doubtful && el("span", { class: "sr" }, ` (uncertain, ${percent})`));
  }

  #dropped({ start, end, text, reason }) {
    const span = end > start ? `${clock(start)} to ${clock(end)}` : `At ${clock(start)}`;
    return el(
      "li",
      { class: "dropped" },
      this.#time(start),
      el(
        "div",
        { class: "body" },
        el("p", {}, el("strong", {}, "Left out. "), `${span}: ${DROPPED[reason] ?? reason}.`),
        text && el("p", {}, el("s", {}, text)),
      ),
    );
  }

  #clicked(target) {
    const word = target.closest?.(".word");
    if (!word || String(getSelection()).length > 1) return;
    this.#step(word);
    this.deeds.play(Number(word.dataset.start));
  }

  #steer(event) {
    const at = this.#words.findIndex(({ element }) => element === event.target);
    if (at < 0) return;
    const last = this.#words.length - 1;
    const to = {
      ArrowRight: at + 1,
      ArrowLeft: at - 1,
      ArrowDown: this.#neighbour(at, 1),
      ArrowUp: this.#neighbour(at, -1),
      Home: 0,
      End: last,
    }[event.key];
    if (event.key === "Enter" || event.key === " ") this.deeds.play(this.#words[at].start);
    else if (to === undefined) return;
    else this.#step(this.#words[Math.max(0, Math.min(last, to))].element);
    event.preventDefault();
  }

  /** The first word of the next segment, or of the one before. */
  #neighbour(at, way) {
    const rows = [...new Set(this.#words.map(({ element }) => element.closest("li")))];
    const row = rows[rows.indexOf(this.#words[at].element.closest("li")) + way];
    return row ? this.#words.findIndex(({ element }) => row.contains(element)) : at;
  }

  #step(word) {
    this.element.querySelector(".word[tabindex='0']")?.setAttribute("tabindex", "-1");
    word.setAttribute("tabindex", "0");
    word.focus();
  }

  #edit(row, text, segment, index) {
    const area = el("textarea", {
      rows: "2",
      "aria-label": `Text at ${clock(segment.start)}`,
      lang: segment.language ?? undefined,
    });
    area.value = segment.text.trim();
    const save = () => this.deeds.edit(index, area.value.replace(/\s+/g, " "));
    const leave = () => {
      form.replaceWith(text);
      row.classList.remove("editing");
      row.querySelector(".edit").focus();
    };
    const form = el(
      "div",
      { class: "editor" },
      area,
      el(
        "p",
        { class: "actions" },
        el("button", { type: "button", class: "strong", onclick: save }, "Save"),
        el("button", { type: "button", onclick: leave }, "Cancel"),
        el("span", { class: "hint" }, "Enter saves, Esc leaves it as it was"),
      ),
    );
    area.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.isComposing) save();
      else if (event.key === "Escape") leave();
      else return;
      event.preventDefault();
    });
    text.replaceWith(form);
    row.classList.add("editing");
    area.focus();
  }

  /** Back to where the visitor was, after the text was made anew. */
  focusEdit(index) {
    this.element.querySelectorAll(".edit")[index]?.focus();
  }
}
