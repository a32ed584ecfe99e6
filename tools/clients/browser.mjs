// Pages in a real Chromium whose microphone plays a file. In: one JSON object as the argument: `page` (a port to serve pages on), `server`
// (lists http://127.0.0.1:PAGE as an origin), `closed` (a server that lists none), `speech` (a WAV file), `seconds` (its length),
// `example` (the document with a page for realtime); `CLIENTS`, the folder that holds playwright-core; `CHROMIUM`, the program.
// Out: one JSON object a line for each thing done. Run by browser.py, which judges what was heard.

import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { createRequire } from "node:module";

const require = createRequire(path.join(process.env.CLIENTS ?? process.cwd(), "package.json"));
const { chromium } = require("playwright-core");
const given = JSON.parse(process.argv[2]);
const tell = (what, told) => console.log(JSON.stringify({ what, ...told }));

// The document's page as it stands there, but for the server's address.
const section = fs.readFileSync(given.example, "utf8").split("## A browser\n")[1];
const example = /```html\n(.*?)```/s.exec(section)[1].replace("localhost:8080", given.server.replace("http://", ""));
if (!example.includes(given.server.slice(7))) throw new Error("the example speaks to another server");

const pages = http.createServer((request, response) => {
  response.setHeader("Content-Type", "text/html; charset=utf-8");
  response.end(request.url === "/realtime" ? example : "<title>a recorder</title>");
});
await new Promise((resolve) => pages.listen(given.page, resolve));
const listed = `http://127.0.0.1:${given.page}`;
const unlisted = `http://localhost:${given.page}`;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
    `--use-file-for-fake-audio-capture=${given.speech}%noloop`,
  ],
});

// A page of its own for each: the microphone begins its file anew when it is opened anew.
async function on(address, act) {
  const page = await browser.newPage();
  const said = [];
  page.on("console", (message) => said.push(message.text()));
  page.on("pageerror", (error) => said.push(String(error)));
  await page.goto(address);
  const result = await act(page).catch((error) => ({ error: String(error) }));
  await page.close();
  return { ...result, console: said };
}

// These run in the page.
const record = async ({ server, type, seconds }) => {
  if (!MediaRecorder.isTypeSupported(type)) return { unsupported: true };
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  const recorder = new MediaRecorder(stream, { mimeType: type });
  const parts = [];
  recorder.ondataavailable = ({ data }) => parts.push(data);
  const stopped = new Promise((resolve) => (recorder.onstop = resolve));
  recorder.start();
  setTimeout(() => recorder.stop(), seconds * 1000);
  await stopped;
  const form = new FormData();
  form.append("file", new Blob(parts, { type }), "take");
  form.append("model", "whisper-1");
  form.append("response_format", "verbose_json");
  // The header makes the browser ask first (a preflight), as it does for every page that has a key.
  const headers = { Authorization: "Bearer none" };
  const answer = await fetch(`${server}/v1/audio/transcriptions`, { method: "POST", body: form, headers });
  const { text, duration, incomplete, error } = await answer.json();
  return { status: answer.status, text, duration, incomplete, error, id: answer.headers.get("x-request-id") };
};

const dictate = async ({ server, seconds, slice, open }) => {
  const ask = async (method, path, body, type) => {
    const answer = await fetch(server + path, { method, body, headers: type ? { "Content-Type": type } : {} });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return answer.status === 204 ? {} : answer.json();
  };
  const { id } = await ask(open.method, open.path, JSON.stringify({ format: "stream", language: "en" }), "application/json");
  if (!seconds) return ask("DELETE", `/v1/sessions/${id}`);
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  const recorder = new MediaRecorder(stream, { mimeType: "audio/webm;codecs=opus" });
  let seq = 0;
  let sent = Promise.resolve();
  const answers = [];
  recorder.ondataavailable = ({ data }) => {
    const number = seq++;
    sent = sent.then(async () => answers.push(await ask("POST", `/v1/sessions/${id}/chunks?seq=${number}`, data)));
  };
  const stopped = new Promise((resolve) => (recorder.onstop = resolve));
  recorder.start(slice * 1000);
  setTimeout(() => recorder.stop(), seconds * 1000);
  await stopped;
  await sent;
  const whole = await ask("POST", `/v1/sessions/${id}/finish?chunks=${seq}&response_format=verbose_json`);
  await ask("DELETE", `/v1/sessions/${id}`);
  const committed = answers.map((answer) => answer.committed);
  return { text: whole.text, live: whole.live_text, duration: whole.duration, missing: whole.missing, committed, chunks: seq };
};

const models = async (server) => (await fetch(`${server}/v1/models`)).json();

const { server, closed, seconds } = given;
const take = { server, seconds };
tell("browser", { version: browser.version() });
for (const type of ["audio/webm;codecs=opus", "audio/mp4"]) {
  tell("take", { type, ...(await on(listed, (page) => page.evaluate(record, { ...take, type }))) });
}
const open = { method: "POST", path: "/v1/sessions" };
tell("dictation", await on(listed, (page) => page.evaluate(dictate, { ...take, slice: 3, open })));
const named = { method: "PUT", path: "/v1/sessions/take-1" };
tell("named", await on(listed, (page) => page.evaluate(dictate, { ...take, slice: 3, open: named })));

const speak = (words) => async (page) => {
  await page.click("button");
  const enough = (words) => document.getElementById("text").textContent.trim().split(/\s+/).length >= words;
  // Words that never come are for browser.py to count.
  await page.waitForFunction(enough, words, { timeout: (seconds + 60) * 1000 }).catch(() => {});
  return { text: await page.textContent("#text") };
};
tell("realtime", await on(`${listed}/realtime`, speak(given.words)));

const socket = (server) => new Promise((resolve) => {
  const socket = new WebSocket(`${server.replace("http", "ws")}/v1/realtime?intent=transcription`, ["realtime"]);
  socket.onmessage = ({ data }) => resolve({ first: JSON.parse(data).type });
  socket.onclose = ({ code }) => resolve({ code });
});
const every = [["listed", listed, server], ["unlisted", unlisted, server], ["none listed", listed, closed]];
for (const [whose, from, to] of every) {
  tell("fetch", { whose, ...(await on(from, (page) => page.evaluate(models, to))) });
  tell("socket", { whose, ...(await on(from, (page) => page.evaluate(socket, to))) });
}
await browser.close();
pages.close();
