// A job of the queue in; its recording to play, its text to follow and edit, and its downloads, on the page.

import * as downloads from "./downloads.js";
import { Player } from "./player.js";
import { Transcript } from "./transcript.js";
import { byId, clock, el, figure, say, svg } from "./element.js";
import { edit } from "./wording.js";
import { know } from "./queue.js";
import { rulesForm } from "./options.js";

const place = byId("reader");
const name = el("h2", { id: "reader-name" });
const about = el("p", { class: "about" });
const notes = el("div", { class: "notes" });
const receipt = el("details", { class: "receipt" });
const failure = el("p", { class: "wrong", role: "alert" });
const transcript = new Transcript({ play: (seconds) => player.seek(seconds, true), edit: edited });
const player = new Player((seconds, playing) => transcript.at(seconds, playing), icon);
const buttons = downloads.FORMATS.map(([extension, title]) =>
  el("button", { type: "button", onclick: () => save(extension), "aria-label": `Download as ${title}` }, title),
);
const saving = el("div", { class: "saving" }, el("span", { class: "label" }, "Download"), buttons, failure, rulesForm("file"));
let job = null;

export function setUp() {
  place.append(el("header", {}, name, about), player.element, notes, transcript.element, saving, receipt);
}

function icon(path) {
  const shape = svg("path", { d: path, fill: "currentColor" });
  return {
    svg: svg("svg", { viewBox: "0 0 24 24", width: 24, height: 24, "aria-hidden": "true" }, shape),
    draw: (other) => shape.setAttribute("d", other),
  };
}

export function show(given) {
  job = given;
  place.hidden = !job;
  if (!job) return player.load(null);
  name.textContent = job.name;
  const shown = job;
  player.load(job.file, (seconds) => know(shown, { seconds }));
  return changed(job);
}

/** Text that came while the rest is being made. */
export function heard(of, segment) {
  if (of !== job) return;
  if (job.segments.length === 1) transcript.clear();
  transcript.hear(segment);
  player.spans(job.segments.map(({ start, end }) => ({ start, end, kind: "said" })));
}

/** Another state, or another text. */
export function changed(of) {
  if (of !== job) return;
  const { doc } = job;
  failure.textContent = "";
  saving.hidden = receipt.hidden = !doc;
  place.classList.toggle("working", !doc && ["sending", "hearing"].includes(job.state));
  if (!doc) {
    about.textContent =
      { failed: job.why, cancelled: "Cancelled before it was done." }[job.state] ?? "The text appears here while it is made.";
    notes.replaceChildren();
    transcript.clear();
    job.segments.forEach((segment) => transcript.hear(segment));
    player.spans([]);
    return;
  }
  const speed = doc.rtf > 0 ? `${figure(1 / doc.rtf)} times as fast as it was spoken` : "";
  const language = doc.language[0].toUpperCase() + doc.language.slice(1);
  about.textContent = [
    doc.task === "translate" ? "Translated into English" : language,
    clock(doc.duration),
    speed,
    `by the model ${doc.model}`,
  ]
    .filter(Boolean)
    .join(" · ");
  notes.replaceChildren(...notices(doc));
  transcript.show(doc);
  player.long(doc.duration);
  const spans = (list, kind) => list.map(({ start, end }) => ({ start, end, kind }));
  player.spans([...spans(doc.segments, "said"), ...spans(doc.dropped, "dropped")]);
  made(doc);
}

function notices(doc) {
  const note = (text) => el("p", { class: "notice" }, text);
  const lines = doc.warnings.map((warning) => note(warning));
  if (doc.no_speech) lines.unshift(note("Nobody speaks in this recording."));
  if (doc.incomplete)
    lines.unshift(note(`This is not all of it: the file ends at ${clock(doc.incomplete.at)}. ${doc.incomplete.reason}`));
  if (doc.dropped.length)
    lines.push(
      note(
        `${doc.dropped.length === 1 ? "One passage was" : `${doc.dropped.length} passages were`} left out; each is shown in its place, with the reason.`,
      ),
    );
  return lines;
}

/** How it was made, for who wants to know. */
function made(doc) {
  const again = doc.fallbacks.map(
    ({ start, end, temperature, reasons }) =>
      `${clock(start)} to ${clock(end)} (${reasons.join(", ")}; taken at temperature ${temperature})`,
  );
  const rows = [
    ["Model", `${doc.model}, ${doc.dtype}, on ${doc.device}`],
    ["Windows", `${doc.windows}, up to ${doc.batch_size_seen} at once`],
    [
      "Language",
      doc.languages.map(({ name, probability }) => `${name} ${Math.round(probability * 100)} %`).join(", ") || doc.language,
    ],
    ["Heard again", again.join("; ")],
    [
      "Time",
      Object.entries(doc.timing)
        .filter(([, ms]) => ms >= 1)
        .map(([stage, ms]) => `${stage.replace("_ms", "")} ${Math.round(ms)} ms`)
        .join(", "),
    ],
  ];
  const list = rows.filter(([, text]) => text).map(([term, text]) => [el("dt", {}, term), el("dd", {}, text)]);
  receipt.replaceChildren(el("summary", {}, "How it was made"), el("dl", {}, list.flat()));
}

function edited(index, text) {
  const same = text.trim() === job.doc.segments[index].text.trim();
  if (!same) {
    job.doc = edit(job.doc, index, text);
    know(job, { edited: true, unsaved: true });
    say("Saved. Downloads have the new text.");
  }
  changed(job);
  transcript.focusEdit(index);
}

async function save(extension) {
  failure.textContent = "";
  try {
    await downloads.download(job.doc, job.name, extension);
    know(job, { unsaved: false, saved: true });
  } catch (error) {
    failure.textContent = `Not downloaded: ${error.message}`;
  }
}
