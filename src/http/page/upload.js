// A file and the fields of its form in; its transcript out, with what happens on the way told to `on`.

import * as keys from "./keys.js";
import { Events } from "./events.js";
import { Refusal, address, headers, refusal } from "./server.js";

/**
 * `on.sent(part)`: how much of the file is on its way, 0 to 1. `on.segment({start, end, text})`: text that stands. XMLHttpRequest, since
 * `fetch` tells nothing of an upload's progress. Rejects with a `Refusal`.
 */
export function transcribe(file, fields, on, signal) {
  return new Promise((resolve, reject) => {
    const form = new FormData();
    for (const [name, value] of fields) form.append(name, value);
    // Last, so that the server has read what is wanted before the file.
    form.append("file", file, file.name);
    const request = new XMLHttpRequest();
    const events = new Events();
    const key = keys.current();
    let whole = null;
    let failure = null;

    const read = () => {
      if (request.status !== 200) return;
      for (const event of events.of(request.responseText)) {
        if (event.type === "transcript.text.segment") on.segment(event);
        else if (event.type === "transcript.text.done") whole = event.transcript;
        else if (event.error) failure = new Refusal("refused", event.error.message);
      }
    };
    const leave = () => request.abort();
    const gone = () => reject(new Refusal("gone", "the connection broke"));

    request.upload.onprogress = ({ loaded, total }) => on.sent(total ? loaded / total : 0);
    request.upload.onload = () => on.sent(1);
    request.onprogress = read;
    request.onerror = gone;
    request.onabort = () => reject(new Refusal("cancelled", "cancelled"));
    request.onload = () => {
      read();
      if (request.status !== 200) {
        const why = refusal(request.status, (name) => request.getResponseHeader(name), request.responseText);
        why.key = key;
        reject(why);
      } else if (failure) reject(failure);
      else if (whole) resolve(whole);
      // A stream that was cut off ends like one that is done.
      else gone();
    };
    signal.addEventListener("abort", leave, { once: true });
    request.onloadend = () => signal.removeEventListener("abort", leave);

    request.open("POST", address("transcribe"));
    for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
    request.send(form);
  });
}
