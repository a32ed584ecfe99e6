// `/gpu-info`, every two seconds while the page is looked at; the device, its load and its speed over the last minutes out.

import { Refusal, ask } from "./server.js";
import { byId, clock, el, figure, svg } from "./element.js";

const EVERY = 2000;
/** Two minutes. */
const POINTS = 60;
/** A window's text comes all at once, so speed is the mean over so many looks. */
const MEAN = 5;
const [WIDE, TALL] = [240, 56];
const place = byId("device");
const name = el("p", { class: "device-name" }, "…");
const list = el("dl", { class: "figures" });
const note = el("p", { class: "hint" });
const fault = el("p", { class: "wrong" });
const line = svg("polyline", { class: "line", points: "" });
const area = svg("polygon", { class: "area", points: "" });
const chart = svg(
  "svg",
  { class: "chart", viewBox: `0 0 ${WIDE} ${TALL}`, preserveAspectRatio: "none", role: "img", "aria-label": "Speed over time" },
  area,
  line,
);
const caption = el("p", { class: "hint caption" }, "Its speed over time is drawn here.");
const looks = [];
const speeds = [];
const rows = new Map();
let timer = 0;

export function setUp() {
  const summary = el("summary", {}, el("h2", { id: "device-title" }, "Device"), name);
  const panel = el("details", {}, summary, list, chart, caption, fault, note);
  // Beside the text where there is room, folded away below it where there is none.
  const wide = matchMedia("(min-width: 62rem)");
  panel.open = wide.matches;
  wide.addEventListener("change", () => (panel.open = wide.matches));
  place.append(panel);
  document.addEventListener("visibilitychange", look);
  addEventListener("key-changed", look);
  addEventListener("server-back", look);
  look();
}

async function look() {
  clearTimeout(timer);
  if (document.visibilityState !== "visible") return;
  try {
    show(await (await ask("gpu-info", {}, false)).json());
    byId("needs-key").hidden = true;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    place.classList.add("stale");
    if (error.kind === "key") {
      byId("needs-key").hidden = false;
      name.textContent = "Shown to who has a key";
    }
    // It is asked again once the server is back.
    if (error.kind === "gone") return;
  }
  clearTimeout(timer);
  timer = setTimeout(look, EVERY);
}

function show(info) {
  const bare = info.device === "none";
  place.classList.remove("stale");
  byId("demo").hidden = !info.demo_model;
  byId("no-model").hidden = !bare;
  name.textContent = bare ? "No model here" : (info.gpu_name ?? (info.cuda_available ? info.device : "CPU, no GPU"));
  for (const [term, text, part] of bare ? [] : figures(info)) row(term, text, part);
  note.textContent = info.note && !bare ? info.note[0].toUpperCase() + info.note.slice(1) + "." : "";
  fault.textContent = info.last_fault ? `Last fault, ${clock(info.last_fault.seconds_ago)} ago: ${info.last_fault.what}` : "";
  draw(info.audio_seconds_done);
}

/** Each with its text, `null` where it is not known, and with a part of 1 where it is one. */
function figures(info) {
  const memory = info.gpu_memory;
  const waiting = `${info.queue_depth_windows} windows, ${clock(info.queue_audio_seconds)} of audio`;
  return [
    ["Memory", memory && `${gib(memory.used)} of ${gib(memory.total)} GB`, memory && memory.used / memory.total],
    [
      "Utilisation",
      known(info.gpu_utilization_percent, (it) => `${it} %`),
      known(info.gpu_utilization_percent, (it) => it / 100),
    ],
    ["Temperature", known(info.gpu_temperature_celsius, (it) => `${it} °C`)],
    ["Power", known(info.gpu_power_watts, (it) => `${Math.round(it)} W`)],
    ["Model", `${info.model}, ${info.dtype}`],
    ["At work", `${info.slots_busy} of ${info.slots} windows`, info.slots_busy / info.slots],
    ["Queue", info.queue_depth_windows ? waiting : "empty"],
    ["Transcribed", clock(info.audio_seconds_done)],
    ["Mean speed", known(info.audio_seconds_per_second, (it) => `${figure(it)} × real time`)],
  ];
}

const known = (value, tell) => (value === null || value === undefined ? null : tell(value));
const gib = (bytes) => (bytes / 2 ** 30).toFixed(1);

/** A figure, with a bar where it is a part of something; nothing where it is not known. */
function row(term, text, part = null) {
  if (!rows.has(term)) {
    const parts = { text: el("span"), bar: el("meter", { min: 0, max: 1, "aria-label": term }) };
    parts.element = el("div", {}, el("dt", {}, term), el("dd", {}, parts.text, parts.bar));
    rows.set(term, parts);
    list.append(parts.element);
  }
  const { element, text: said, bar } = rows.get(term);
  element.hidden = text === null || text === undefined || text === false;
  said.textContent = text ?? "";
  bar.hidden = part === null || part === undefined;
  if (!bar.hidden) bar.value = part;
}

/** What was transcribed between looks, by the time between them. */
function draw(done) {
  const now = performance.now();
  // A server that was started anew counts from zero.
  if (looks.length && done < looks.at(-1).done) looks.length = 0;
  looks.push({ done, now });
  if (looks.length > MEAN + 1) looks.shift();
  if (looks.length < 2) return;
  const speed = ((done - looks[0].done) / (now - looks[0].now)) * 1000;
  speeds.push(speed);
  if (speeds.length > POINTS) speeds.shift();
  const most = Math.max(...speeds, 1);
  const points = speeds.map((it, at) => [
    ((at + POINTS - speeds.length) / (POINTS - 1)) * WIDE,
    TALL - 2 - (it / most) * (TALL - 6),
  ]);
  const spelled = points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
  line.setAttribute("points", spelled);
  area.setAttribute("points", `${points[0][0].toFixed(1)},${TALL} ${spelled} ${WIDE},${TALL}`);
  const peak = Math.max(...speeds);
  caption.textContent = `Seconds of audio a second, last two minutes: now ${figure(speed)}, at most ${figure(peak)}`;
  chart.setAttribute("aria-label", caption.textContent);
}
