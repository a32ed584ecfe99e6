// A browser whose microphone plays a file, and what acts on its pages share.

import fs from "node:fs";
import path from "node:path";
import readline from "node:readline";
import { createRequire } from "node:module";

const clients = process.env.CLIENTS ?? process.cwd();
const require = createRequire(path.join(clients, "package.json"));
const { chromium } = require("playwright-core");

export const axeSource = () => fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

/** What any act waits for at most, in milliseconds; reaching it fails the act. */
const PATIENCE = 90_000;
/** A browser's own words where a request was answered with an error, which some acts are about. */
const EXPECTED = /^(Failed to load resource|WebSocket connection to)/;

export class Stage {
  static async open(given) {
    const browser = await chromium.launch({
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      args: [
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        `--use-file-for-fake-audio-capture=${given.speech}%noloop`,
      ],
    });
    return new Stage(browser, given);
  }

  constructor(browser, given) {
    Object.assign(this, { browser, given });
    this.answers = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  }

  async close() {
    await this.browser.close();
    process.stdin.destroy();
  }

  /** A page of its own for each act; what it returns is told, and what the browser complains of. */
  async act(what, address, act) {
    if (!new RegExp(this.given.only).test(what)) return;
    const scene = new Scene(this, address);
    let told;
    try {
      told = await act(scene);
    } catch (error) {
      told = { error: String(error.stack ?? error).slice(0, 1500) };
      await scene.shot(`failed ${what}`);
    }
    for (const context of scene.contexts) await context.close();
    console.log(JSON.stringify({ what, ...told, complaints: scene.complaints }));
  }

  /** Of page.py: `kill` or `start` the server. */
  async please(what) {
    console.log(JSON.stringify({ please: what }));
    await this.answers.next();
  }
}

class Scene {
  contexts = [];
  complaints = [];

  constructor(stage, address) {
    Object.assign(this, { stage, address, given: stage.given });
  }

  /** The page, in a context of its own, or in `context`. */
  async page(options = {}, context = null) {
    if (!context) {
      context = await this.stage.browser.newContext({
        viewport: { width: 1280, height: 900 },
        acceptDownloads: true,
        ...options,
      });
      this.contexts.push(context);
    }
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE);
    page.on(
      "console",
      (message) => message.type() === "error" && !EXPECTED.test(message.text()) && this.complaints.push(message.text()),
    );
    page.on("pageerror", (error) => this.complaints.push(String(error)));
    page.on("request", (request) => {
      if (!request.url().startsWith(this.address) && !/^(blob|data):/.test(request.url()))
        this.complaints.push(`asked ${request.url()}`);
    });
    this.last = page;
    await page.goto(this.address);
    return page;
  }

  file(name) {
    return path.join(this.given.files, name);
  }

  async shot(name) {
    if (process.env.SHOTS && this.last)
      await this.last.screenshot({ path: path.join(process.env.SHOTS, `${name.replaceAll(/\W+/g, "-")}.png`) }).catch(() => {});
  }
}

/** Until so many rows of the queue are in that state. */
export const states = (page, state, count = 1, timeout = PATIENCE) =>
  page.waitForFunction(
    ([state, count]) => document.querySelectorAll(`#queue [data-state="${state}"]`).length >= count,
    [state, count],
    { timeout },
  );

/** Chosen as a visitor does, and transcribed. */
export async function transcribed(page, names, patience) {
  await page.setInputFiles("#picked", names);
  await states(page, "done", names.length, patience);
}

export const text = (page) =>
  page.$$eval(".segments .body > p:first-child", (all) =>
    all
      .map((p) => {
        const copy = p.cloneNode(true);
        copy.querySelectorAll(".sr").forEach((hidden) => hidden.remove());
        return copy.textContent;
      })
      .join(" "),
  );

/** What a click on a download gives: its name and its text. */
export async function downloaded(page, act) {
  const [download] = await Promise.all([page.waitForEvent("download"), act()]);
  return { name: download.suggestedFilename(), text: fs.readFileSync(await download.path(), "utf8") };
}

/** Uploads at a pace that can be watched. */
export async function slowly(page, bytesASecond) {
  const session = await page.context().newCDPSession(page);
  await session.send("Network.enable");
  await session.send("Network.emulateNetworkConditions", {
    offline: false,
    latency: 0,
    downloadThroughput: -1,
    uploadThroughput: bytesASecond,
  });
  return session;
}

/** From now on: every text of the first row, and how many segments stood before the whole was there. */
export const watch = (page) =>
  page.evaluate(() => {
    window.watched = { states: [], fresh: 0 };
    new MutationObserver(() => {
      const state = document.querySelector("#queue .state")?.textContent;
      if (state && state !== window.watched.states.at(-1)) window.watched.states.push(state);
      window.watched.fresh = Math.max(window.watched.fresh, document.querySelectorAll(".segments .fresh").length);
    }).observe(document.body, { subtree: true, childList: true, characterData: true });
  });
