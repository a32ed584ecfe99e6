// Requests to this server: their address and key in; an answer out, or a `Refusal` that says what is to be done about it.

import * as keys from "./keys.js";
import { byId, say } from "./element.js";

/** `kind`: `gone` (no answer), `busy` (again after `after` seconds), `key`, `refused`, `cancelled`. */
export class Refusal extends Error {
  constructor(kind, message, after = 0) {
    super(message);
    this.kind = kind;
    this.after = after;
  }
}

export const address = (path) => new URL(path, document.baseURI).href;

export function headers() {
  const key = keys.current();
  return key ? { Authorization: `Bearer ${key}` } : {};
}

/** What an error's status, headers and body mean; `header` gives one of its headers. */
export function refusal(status, header, body) {
  let message = "";
  try {
    message = JSON.parse(body).error.message;
  } catch {
    message = `the server answered with ${status}`;
  }
  if (status === 401) return new Refusal("key", message);
  const after = Number(header("retry-after"));
  const passing = [429, 502, 503].includes(status) && header("x-should-retry") !== "false";
  if (passing) return new Refusal("busy", message, after || 5);
  return new Refusal("refused", message);
}

/** A small request: `fetch`, with the key. Where one is wanted, it is asked for, and the request goes again. */
export async function ask(path, given = {}, patient = true) {
  const key = keys.current();
  let answer;
  try {
    answer = await fetch(address(path), { ...given, headers: { ...headers(), ...given.headers } });
  } catch (error) {
    if (error.name === "AbortError") throw new Refusal("cancelled", "cancelled");
    lost();
    throw new Refusal("gone", "the server does not answer");
  }
  if (answer.ok) return answer;
  const why = refusal(answer.status, (name) => answer.headers.get(name), await answer.text());
  if (why.kind === "key" && patient && (await keys.demand(key))) return ask(path, given);
  throw why;
}

let back = null;

/** Somebody got no answer. The page says so and asks until there is one. */
export function lost() {
  back ??= watch();
  return back;
}

export const isGone = () => back !== null;

async function watch() {
  byId("gone").hidden = false;
  say("The server does not answer. The page waits for it.");
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const alive = await fetch(address("livez"), { cache: "no-store" }).then(
      (answer) => answer.ok,
      () => false,
    );
    if (!alive) continue;
    byId("gone").hidden = true;
    say("The server is back.");
    back = null;
    dispatchEvent(new Event("server-back"));
    return;
  }
}
