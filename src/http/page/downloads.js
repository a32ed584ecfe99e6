// A transcript as this page has it, edits included, and a format in; a file for the visitor out. Subtitles are cut by the server.

import { ask } from "./server.js";
import { rules } from "./options.js";

export const FORMATS = [
  ["txt", "Text", "text", "text/plain"],
  ["srt", "SRT", "srt", "application/x-subrip"],
  ["vtt", "VTT", "vtt", "text/vtt"],
  ["json", "JSON", "verbose_json", "application/json"],
];

/** Rejects with a `Refusal`. */
export async function download(doc, name, extension) {
  const [, , format, type] = FORMATS.find(([known]) => known === extension);
  const text = extension === "json" ? `${JSON.stringify(doc, null, 2)}\n` : await rendered(doc, format);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = `${name.replace(/\.[^.]{1,5}$/, "") || "transcript"}.${extension}`;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

async function rendered(doc, format) {
  // A segment that was emptied is one that is not there.
  const said = { ...doc, segments: doc.segments.filter((segment) => segment.text.trim()) };
  const query = new URLSearchParams([["format", format], ...rules()]);
  const body = JSON.stringify(said);
  const answer = await ask(`v1/subtitles?${query}`, { method: "POST", body, headers: { "Content-Type": "application/json" } });
  return answer.text();
}
