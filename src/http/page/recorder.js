// The microphone in; a file for the queue out, once the visitor stops.

import { byId, clock, say } from "./element.js";

const TYPES = [
  ["audio/webm;codecs=opus", "webm"],
  ["audio/mp4", "m4a"],
  ["audio/ogg;codecs=opus", "ogg"],
];
const button = byId("record");
const state = byId("record-state");
const idle = state.textContent;

/** Opens the microphone; rejects with a sentence that says why there is none. */
export async function microphone() {
  if (!navigator.mediaDevices)
    throw new Error("Browsers give the microphone to pages at https addresses or at localhost alone, and this is neither.");
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: false } });
  } catch (error) {
    const reasons = {
      NotAllowedError: "This page may not use the microphone: allow it in the browser's settings for this site.",
      NotFoundError: "No microphone was found.",
    };
    throw new Error(reasons[error.name] ?? `The microphone cannot be used: ${error.message}`);
  }
}

/** `add(files, recorded)`. */
export function setUp(add) {
  let recorder = null;
  button.addEventListener("click", async () => {
    if (recorder) return recorder.stop();
    button.disabled = true;
    try {
      recorder = await start(add, () => (recorder = null));
    } catch (error) {
      state.textContent = error.message;
      say(error.message);
    }
    button.disabled = false;
  });
}

async function start(add, ended) {
  const stream = await microphone();
  const [type, extension] = TYPES.find(([type]) => MediaRecorder.isTypeSupported(type)) ?? ["", "webm"];
  const recorder = new MediaRecorder(stream, type ? { mimeType: type } : {});
  const parts = [];
  const began = performance.now();
  const tick = () => (state.textContent = `Recording · ${clock((performance.now() - began) / 1000)}`);
  const ticking = setInterval(tick, 250);
  recorder.ondataavailable = ({ data }) => parts.push(data);
  recorder.onstop = () => {
    clearInterval(ticking);
    for (const track of stream.getTracks()) track.stop();
    look(false);
    ended();
    const now = new Date();
    const stamp = new Date(now - now.getTimezoneOffset() * 60_000)
      .toISOString()
      .slice(0, 19)
      .replace("T", " ")
      .replaceAll(":", ".");
    add([new File(parts, `Recording ${stamp}.${extension}`, { type: recorder.mimeType.split(";")[0] })], true);
  };
  // A microphone that is pulled out ends the recording, not the page.
  recorder.start(1000);
  look(true);
  tick();
  say("Recording.");
  return recorder;
}

function look(recording) {
  button.classList.toggle("recording", recording);
  byId("record-label").textContent = recording ? "Stop" : "Record";
  state.textContent = idle;
}
