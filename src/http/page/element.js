// What the page is built with: a tag, its properties and its children in; an element out. Text is only ever text.

const SVG = "http://www.w3.org/2000/svg";

/** `el("button", {class: "quiet", onclick}, "Stop")`. `undefined`, `null` and `false` are properties or children that are not there. */
export function el(tag, given = {}, ...children) {
  return fill(document.createElement(tag), given, children);
}

export function svg(tag, given = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), given, children);
}

function fill(element, given, children) {
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== undefined && child !== null && child !== false));
  return element;
}

export const byId = (id) => document.getElementById(id);

/** To those who hear the page instead of seeing it. */
export function say(text) {
  byId("said").textContent = text;
}

/** `1:02:03`, `2:03`; with tenths of a second where `fine`. */
export function clock(seconds, fine = false) {
  const all = Math.max(0, Number.isFinite(seconds) ? seconds : 0);
  const rounded = fine ? Math.floor(all * 10) / 10 : Math.floor(all);
  const hours = Math.floor(rounded / 3600);
  const minutes = Math.floor((rounded % 3600) / 60);
  const rest = (rounded % 60).toFixed(fine ? 1 : 0).padStart(fine ? 4 : 2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** `812 B`, `3.1 MB`. */
export function size(bytes) {
  const units = ["B", "kB", "MB", "GB"];
  const step = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  const value = bytes / 1000 ** step;
  return `${value < 10 && step ? value.toFixed(1) : Math.round(value)} ${units[step]}`;
}

/** With as many decimals as mean something: 0.93, 7.4, 112. */
export function figure(value) {
  return value >= 100 ? value.toFixed(0) : value >= 1 ? value.toFixed(1) : value.toFixed(2);
}
