// How to transcribe and how subtitles are cut: what the visitor chose in; the fields of a request out. Remembered by this tab alone.

import { address } from "./server.js";
import { byId, el } from "./element.js";

const PLACE = "verbatim-options";
/** Field, what it says, least, most, step, and what `tidy` has. */
const RULES = [
  ["max_line_width", "Columns of a line", 1, 1000, 1, 42],
  ["max_line_count", "Lines of a cue", 1, 100, 1, 2],
  ["max_words_per_line", "Words of a line", 1, 1000, 1, null],
  ["max_cue_seconds", "Longest cue, seconds", 0.1, 3600, 0.1, 7],
  ["min_cue_seconds", "Shortest cue, seconds", 0, 3600, 0.1, 1],
  ["max_cps", "Characters a second", 1, 1000, 1, 17],
];

const kept = JSON.parse(sessionStorage.getItem(PLACE) ?? "{}");

function remember(name, value) {
  if (value) kept[name] = value;
  else delete kept[name];
  sessionStorage.setItem(PLACE, JSON.stringify(kept));
}

function follow(control, name) {
  control.value = kept[name] ?? control.value;
  control.addEventListener("change", () => remember(name, control.value));
}

/** Fills the lists of languages; the page works without them. */
export async function setUp() {
  follow(byId("task"), "task");
  const languages = await fetch(address("page/languages.json"))
    .then((answer) => (answer.ok ? answer.json() : []))
    .catch(() => []);
  const named = languages.map(([code, name]) => [code, name[0].toUpperCase() + name.slice(1)]);
  const sorted = [...named].sort(([, one], [, other]) => one.localeCompare(other, "en"));
  const selects = [byId("language"), byId("live-language")];
  for (const select of selects) {
    select.append(...sorted.map(([code, name]) => el("option", { value: code }, name)));
    follow(select, "language");
    select.addEventListener("change", () => selects.forEach((other) => (other.value = select.value)));
  }
}

export const language = () => byId("language").value;

/** The fields of a transcription. */
export function fields() {
  const wanted = [
    ["stream", "true"],
    ["response_format", "verbose_json"],
    ["timestamp_granularities[]", "segment"],
    ["timestamp_granularities[]", "word"],
    ["task", byId("task").value],
  ];
  if (language()) wanted.push(["language", language()]);
  return wanted;
}

/** The fields of a subtitle file. */
export function rules() {
  return Object.entries(kept).filter(
    ([name]) => name === "subtitles" || name === "highlight_words" || RULES.some(([rule]) => rule === name),
  );
}

/** The form in which they are chosen; `id` tells it from another on the page. */
export function rulesForm(id) {
  const style = el(
    "select",
    { id: `${id}-subtitles` },
    el("option", { value: "" }, "One cue a segment"),
    el("option", { value: "tidy" }, "Tidy: cut for reading"),
  );
  const highlight = el("input", {
    type: "checkbox",
    id: `${id}-highlight`,
    onchange: () => remember("highlight_words", highlight.checked ? "true" : ""),
  });
  highlight.checked = kept.highlight_words === "true";
  const numbers = RULES.map(([name, label, min, max, step, tidy]) => {
    const input = el("input", { type: "number", inputmode: "decimal", min, max, step, id: `${id}-${name}` });
    follow(input, name);
    return { input, tidy, row: el("label", {}, el("span", {}, label), input) };
  });
  const hint = () => {
    for (const { input, tidy } of numbers) input.placeholder = style.value === "tidy" && tidy !== null ? `${tidy}` : "any";
  };
  follow(style, "subtitles");
  style.addEventListener("change", hint);
  hint();
  return el(
    "details",
    { class: "rules" },
    el("summary", {}, "Subtitle rules"),
    el(
      "div",
      { class: "rule-grid" },
      el("label", {}, el("span", {}, "Cues"), style),
      numbers.map(({ row }) => row),
      el("label", { class: "check" }, highlight, el("span", {}, "Show the word that is being said")),
    ),
  );
}
