// What is spoken into the microphone in; each turn's text, as soon as it stands, on the page. OpenAI's realtime session, on a websocket.

import * as downloads from "./downloads.js";
import * as keys from "./keys.js";
import * as options from "./options.js";
import { address, ask } from "./server.js";
import { byId, clock, el, say } from "./element.js";
import { microphone } from "./recorder.js";

const RATE = 24_000;
/** What the last turn may take to be answered before the session is given up. */
const PATIENCE = 60_000;
const place = byId("live");
const button = el("button", { type: "button", class: "strong", onclick: () => (session ? stop() : start()) }, "Start dictating");
const state = el("p", { class: "hint", role: "status" }, "Speak; each sentence appears after its pause.");
const level = el("meter", {
  class: "level",
  min: 0,
  max: 0.3,
  value: 0,
  "aria-label": "Loudness of the microphone",
  hidden: true,
});
const text = el("div", { class: "spoken", role: "log", "aria-label": "Dictated text" });
const failure = el("p", { class: "wrong", role: "alert" });
const copy = el("button", { type: "button", onclick: copied }, "Copy");
const clear = el("button", { type: "button", class: "quiet", onclick: cleared }, "Clear");
const files = downloads.FORMATS.map(([extension, title]) =>
  el("button", { type: "button", "aria-label": `Download the dictation as ${title}`, onclick: () => save(extension) }, title),
);
const saving = el("div", { class: "saving", hidden: true }, el("span", { class: "label" }, "Download"), files, copy, clear);

/** The one that is open, with its socket, its sound and the turns that are not answered yet. */
let session = null;
/** By item: `{element, segments, text, said}`. */
let turns = new Map();
/** Seconds of the sessions before this one, so that times go on. */
let before = 0;
let unsaved = false;

export function setUp() {
  place.prepend(
    el(
      "div",
      { class: "drop dictate" },
      el("p", { class: "lead" }, "Dictate"),
      el("p", { class: "actions" }, button, level),
      state,
    ),
  );
  place.append(failure, text, saving);
  addEventListener("beforeunload", (event) => (session || unsaved) && event.preventDefault());
}

async function start() {
  button.disabled = true;
  failure.textContent = "";
  let stream = null;
  try {
    // A browser is not told why a socket was refused, so whether the key is right is asked first.
    await ask("v1/models");
    stream = await microphone();
    session = await open(stream);
    look(true);
  } catch (error) {
    for (const track of stream?.getTracks() ?? []) track.stop();
    failure.textContent = error.message;
  }
  button.disabled = false;
}

/** With the sound already running: what is said while the socket opens is kept, and sent first. */
async function open(stream) {
  const key = keys.current();
  if (!/^[\w!#$%&'*+.^`|~-]*$/.test(key))
    throw new Error(
      "Browsers cannot send this key with a websocket: it has signs that have no place there. A dictation needs another key.",
    );
  const sound = await listen(stream);
  const protocols = ["realtime", ...(key ? [`openai-insecure-api-key.${key}`] : [])];
  const at = address("v1/realtime?intent=transcription").replace(/^http/, "ws");
  const socket = new WebSocket(at, protocols);
  const opened = { stream, socket, sound, pending: new Set(), began: null, waiting: [], sent: 0, stopping: false };
  sound.node.port.onmessage = ({ data }) => {
    level.value = data.loud;
    if (opened.stopping) return;
    if (opened.began) send(opened, data.buffer);
    else opened.waiting.push(data.buffer);
  };
  socket.onmessage = ({ data }) => heard(opened, JSON.parse(data));
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onclose = () =>
      reject(new Error("The server does not take a dictation now: it may be full, or not ready. Try again in a moment."));
  }).catch((error) => {
    sound.context.close();
    throw error;
  });
  socket.onclose = (event) => closed(opened, event);
  const input = { format: { type: "audio/pcm", rate: sound.rate } };
  if (options.language()) input.transcription = { language: options.language() };
  socket.send(JSON.stringify({ type: "session.update", session: { type: "transcription", audio: { input } } }));
  opened.began = performance.now();
  for (const buffer of opened.waiting) send(opened, buffer);
  return opened;
}

function send(to, buffer) {
  to.sent += buffer.byteLength / 2 / to.sound.rate;
  if (to.socket.readyState === WebSocket.OPEN) to.socket.send(buffer);
}

/** Some browsers do not connect a microphone to a context of another rate; there the worklet changes it. */
async function listen(stream) {
  let context = new AudioContext({ sampleRate: RATE });
  let source;
  try {
    source = context.createMediaStreamSource(stream);
  } catch {
    context.close();
    context = new AudioContext();
    source = context.createMediaStreamSource(stream);
  }
  await context.audioWorklet.addModule(address("page/pcm.js"));
  const node = new AudioWorkletNode(context, "pcm", { numberOfOutputs: 0, processorOptions: { rate: RATE } });
  source.connect(node);
  await context.resume();
  return { context, node, rate: RATE };
}

function heard(from, event) {
  const kind = event.type.replace("conversation.item.input_audio_transcription.", "");
  const turn = event.item_id && turnOf(event.item_id, from);
  switch (kind) {
    case "input_audio_buffer.speech_started":
      turn.element.classList.add("open");
      state.textContent = "Hearing you…";
      break;
    case "input_audio_buffer.committed":
      from.pending.add(event.item_id);
      state.textContent = "Listening";
      break;
    case "delta":
      turn.text += (turn.text && !/\s$/.test(turn.text) ? " " : "") + event.delta.trim();
      turn.said.textContent = turn.text;
      unsaved = true;
      break;
    case "segment":
      turn.segments.push({ start: before + event.start, end: before + event.end, text: ` ${event.text.trim()}` });
      if (!turn.time.textContent) turn.time.textContent = clock(before + event.start);
      break;
    case "completed":
    case "failed":
      from.pending.delete(event.item_id);
      turn.element.classList.remove("open");
      if (kind === "failed") turn.said.textContent = `(not understood: ${event.error.message})`;
      else turn.said.textContent = turn.text = event.transcript;
      if (!turn.said.textContent) turn.element.remove();
      saving.hidden = !words();
      if (from.stopping && !from.pending.size) from.socket.close();
      break;
    case "error":
      // What is left at a stop may be too short for a turn, which is no fault.
      if (event.error.code === "input_audio_buffer_commit_empty" || from.stopping) settled(from);
      else failure.textContent = event.error.message;
      break;
  }
  turn?.element.scrollIntoView?.({ block: "nearest" });
}

function settled(from) {
  if (!from.pending.size) from.socket.close();
}

function turnOf(id, from) {
  if (turns.has(id)) return turns.get(id);
  const [time, said] = [el("span", { class: "from" }), el("p", { class: "said" })];
  const turn = { element: el("div", { class: "turn" }, time, said), time, said, text: "", segments: [], from };
  turns.set(id, turn);
  text.append(turn.element);
  return turn;
}

function stop() {
  const ending = session;
  ending.stopping = true;
  hush(ending);
  state.textContent = "Waiting for the last words…";
  button.disabled = true;
  ending.socket.send(JSON.stringify({ type: "input_audio_buffer.commit" }));
  setTimeout(() => ending.socket.close(), PATIENCE);
}

function hush({ stream, sound }) {
  for (const track of stream.getTracks()) track.stop();
  sound.context.close().catch(() => {});
  level.hidden = true;
}

function closed(ended, { reason }) {
  if (session !== ended) return;
  hush(ended);
  before += ended.sent;
  session = null;
  button.disabled = false;
  look(false);
  text.querySelectorAll(".open").forEach((element) => element.classList.remove("open"));
  if (ended.stopping) {
    state.textContent = "Done. Go on whenever you like; the text stays.";
    say("The dictation has ended.");
  } else {
    const why = reason ? ` (${reason})` : "";
    failure.textContent = `The connection to the server broke${why}. What is written here stays; words that were on their way are lost.`;
    state.textContent = "Start again to go on.";
  }
}

function look(running) {
  button.textContent = running ? "Stop" : turns.size ? "Go on dictating" : "Start dictating";
  button.classList.toggle("recording", running);
  level.hidden = !running;
  if (running) {
    state.textContent = "Listening";
    say("Listening.");
  }
}

const words = () =>
  [...turns.values()]
    .map((turn) => turn.text.trim())
    .filter(Boolean)
    .join("\n");

/** As a transcript of a file would be: what downloads are made of. */
function transcript() {
  const all = [...turns.values()].filter((turn) => turn.text.trim());
  const segments = all.flatMap((turn) => turn.segments).map((segment, id) => ({ id, ...segment }));
  const language = options.language();
  return { task: "transcribe", ...(language ? { language } : {}), duration: segments.at(-1)?.end ?? 0, text: words(), segments };
}

async function save(extension) {
  failure.textContent = "";
  try {
    await downloads.download(transcript(), "Dictation", extension);
    unsaved = false;
  } catch (error) {
    failure.textContent = `Not downloaded: ${error.message}`;
  }
}

async function copied() {
  await navigator.clipboard.writeText(words()).then(
    () => (unsaved = false),
    () => {},
  );
  copy.textContent = unsaved ? "Not allowed to copy" : "Copied";
  setTimeout(() => (copy.textContent = "Copy"), 2000);
}

function cleared() {
  if (unsaved && !confirm("Clear the dictated text? It is kept nowhere else.")) return;
  turns = new Map();
  [before, unsaved, saving.hidden] = [0, false, true];
  text.replaceChildren();
  if (!session) look(false);
  button.focus();
}
