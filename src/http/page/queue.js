// Files in; each sent, heard and kept here with its transcript, a few at a time, until the visitor removes it. What fails for a
// while waits and goes on by itself; a file is never lost but by its visitor's wish.

import * as keys from "./keys.js";
import * as options from "./options.js";
import { Refusal, isGone, lost } from "./server.js";
import { byId, clock, el, figure, say, size } from "./element.js";
import { transcribe } from "./upload.js";

const AT_ONCE = 2;
/** Connections that break while the server lives, one after the other, before a file is given up. */
const MOST_BREAKS = 4;
const UNDER_WAY = ["sending", "hearing"];
/** Waiting by themselves. */
const PATIENT = ["waiting", "later", "away", "key"];

const list = byId("queue");
const jobs = [];
let selected = null;
/** What the reader does: `show(job)`, `heard(job, segment)`, `changed(job)`. */
let reader = null;

export function setUp(given) {
  reader = given;
  addEventListener("beforeunload", (event) => {
    const precious = jobs.some(
      (job) => job.unsaved || PATIENT.includes(job.state) || UNDER_WAY.includes(job.state) || (job.recorded && !job.saved),
    );
    if (precious) event.preventDefault();
  });
  setInterval(() => jobs.filter((job) => job.state === "later").forEach(show), 500);
}

/** `recorded`: made here, and nowhere else yet. */
export function add(files, recorded = false) {
  for (const file of files) {
    const job = {
      file,
      name: file.name,
      recorded,
      state: "waiting",
      segments: [],
      doc: null,
      edited: false,
      unsaved: false,
      breaks: 0,
    };
    job.row = row(job);
    jobs.push(job);
    list.append(job.row.item);
    show(job);
    if (!selected || selected.state === "done" || selected.state === "failed") select(job);
  }
  document.body.classList.toggle("busy", jobs.length > 0);
  pump();
}

function pump() {
  const running = jobs.filter((job) => UNDER_WAY.includes(job.state)).length;
  const next = jobs.filter((job) => job.state === "waiting").slice(0, Math.max(0, AT_ONCE - running));
  for (const job of next) run(job);
}

async function run(job) {
  Object.assign(job, {
    state: "sending",
    sent: 0,
    segments: [],
    doc: null,
    why: "",
    abort: new AbortController(),
    began: performance.now(),
  });
  const { abort } = job;
  update(job);
  const on = {
    sent: (part) => {
      job.sent = part;
      job.state = part < 1 ? "sending" : "hearing";
      show(job);
    },
    segment: (segment) => {
      job.segments.push(segment);
      job.breaks = 0;
      reader.heard(job, segment);
      show(job);
    },
  };
  try {
    job.doc = await transcribe(job.file, options.fields(), on, abort.signal);
    settle(job, "done");
    say(`${job.name} is transcribed.`);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    await refused(job, error, abort);
  }
}

async function refused(job, why, abort) {
  // Cancelled, and perhaps begun anew, while this was on its way.
  const current = () => job.abort === abort && !abort.signal.aborted;
  if (why.kind === "cancelled" || !current()) return;
  const wait = async (state, until) => {
    settle(job, state, why.message);
    const go = await until;
    if (!current() || job.state !== state) return;
    if (go === false) settle(job, "failed", why.message);
    else {
      job.state = "waiting";
      update(job);
      pump();
    }
  };
  if (why.kind === "gone" && ++job.breaks < MOST_BREAKS) return wait("away", lost());
  if (why.kind === "key") return wait("key", keys.demand(why.key));
  if (why.kind === "busy") {
    job.again = performance.now() + why.after * 1000;
    const woken = new Promise((resolve) => (job.wake = resolve));
    return wait("later", Promise.race([woken, new Promise((resolve) => setTimeout(resolve, why.after * 1000))]));
  }
  return settle(job, "failed", why.kind === "gone" ? "the connection breaks again and again" : why.message);
}

function settle(job, state, why = "") {
  Object.assign(job, { state, why, took: (performance.now() - job.began) / 1000 });
  update(job);
  pump();
}

function cancel(job) {
  job.abort?.abort();
  settle(job, "cancelled");
  job.row.retry.focus();
}

function retry(job) {
  if (job.unsaved && !confirm(`Transcribe “${job.name}” again? Its text was edited here, and that is lost.`)) return;
  Object.assign(job, { breaks: 0, edited: false, unsaved: false });
  if (job.state === "later") job.wake();
  else {
    job.state = "waiting";
    update(job);
    pump();
  }
  job.row.name.focus();
}

function remove(job) {
  const unsaved = job.unsaved || (job.recorded && !job.saved);
  if (
    unsaved &&
    !confirm(`Remove “${job.name}”? ${job.unsaved ? "Its text was edited" : "It was recorded"} here, and nothing of it is kept.`)
  )
    return;
  const at = jobs.indexOf(job);
  jobs.splice(at, 1);
  job.row.item.remove();
  document.body.classList.toggle("busy", jobs.length > 0);
  const neighbour = jobs[at] ?? jobs[at - 1] ?? null;
  if (selected === job) select(neighbour);
  (neighbour?.row.name ?? byId("choose")).focus();
}

function select(job) {
  selected?.row.name.removeAttribute("aria-current");
  selected = job;
  job?.row.name.setAttribute("aria-current", "true");
  reader.show(job);
}

function row(job) {
  const name = el("button", { type: "button", class: "name", onclick: () => select(job) }, job.name);
  const state = el("span", { class: "state" });
  const bar = el("progress", { max: 1, "aria-label": `Progress of ${job.name}` });
  const button = (text, act) =>
    el("button", { type: "button", class: "quiet", onclick: () => act(job), "aria-label": `${text}: ${job.name}` }, text);
  const buttons = { stop: button("Cancel", cancel), retry: button("Again", retry), away: button("Remove", remove) };
  const item = el(
    "li",
    {},
    el("span", { class: "what" }, name, state, bar),
    el("span", { class: "deeds" }, Object.values(buttons)),
  );
  return { item, name, state, bar, ...buttons };
}

/** The row and the reader. */
function update(job) {
  show(job);
  if (job === selected) reader.changed(job);
}

function show(job) {
  const { item, state, bar, stop, retry, away } = job.row;
  const under = UNDER_WAY.includes(job.state);
  item.dataset.state = job.state;
  state.textContent = told(job);
  bar.hidden = !under;
  const part = progress(job);
  if (part === null) bar.removeAttribute("value");
  else bar.value = part;
  stop.hidden = !under && !PATIENT.includes(job.state);
  retry.hidden = !["failed", "cancelled", "later", "done"].includes(job.state);
  away.hidden = under || PATIENT.includes(job.state);
}

/** Of the upload, then of the text by its times; `null` where it cannot be told. */
function progress(job) {
  if (job.state === "sending") return job.sent;
  const end = job.segments.at(-1)?.end;
  return end && job.seconds ? Math.min(1, end / job.seconds) : null;
}

function told(job) {
  const end = job.segments.at(-1)?.end;
  switch (job.state) {
    case "waiting":
      return `Waiting · ${size(job.file.size)}`;
    case "sending":
      return `Sending ${Math.round(job.sent * 100)} % of ${size(job.file.size)}`;
    case "hearing":
      return end ? `Transcribing · ${clock(end)}${job.seconds ? ` of ${clock(job.seconds)}` : ""}` : "Transcribing";
    case "later":
      return `${job.why} Again in ${Math.max(0, Math.ceil((job.again - performance.now()) / 1000))} s`;
    case "away":
      return isGone() ? "The server does not answer; waiting for it" : "The connection broke; again in a moment";
    case "key":
      return "Waiting for a key";
    case "cancelled":
      return "Cancelled";
    case "failed":
      return `Failed: ${job.why}`;
    default:
      return `${clock(job.doc.duration)} in ${figure(job.took)} s${job.edited ? " · edited" : ""}`;
  }
}

/** Told by the reader: how long the recording is, that its text was edited or saved. */
export function know(job, facts) {
  Object.assign(job, facts);
  show(job);
}
