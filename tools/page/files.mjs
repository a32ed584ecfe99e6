// Files: dropped, followed, edited, downloaded.

import fs from "node:fs";
import { downloaded, slowly, states, text, transcribed, watch } from "./stage.mjs";

export async function demo(scene) {
  const page = await scene.page();
  const notice = page.locator("#demo");
  await notice.waitFor();
  const said = await notice.innerText();
  await page.click("#sample");
  await states(page, "done");
  return { said, text: await text(page) };
}

export async function drop(scene) {
  const page = await scene.page();
  await watch(page);
  await slowly(page, 300_000);
  const bytes = fs.readFileSync(scene.file("english-long.mp3")).toString("base64");
  const carried = await page.evaluateHandle((bytes) => {
    const transfer = new DataTransfer();
    transfer.items.add(
      new File([Uint8Array.from(atob(bytes), (char) => char.charCodeAt(0))], "english-long.mp3", { type: "audio/mpeg" }),
    );
    return transfer;
  }, bytes);
  await page.dispatchEvent("#drop", "dragenter", { dataTransfer: carried });
  const over = await page.evaluate(() => document.body.classList.contains("over"));
  await page.dispatchEvent("#drop", "dragover", { dataTransfer: carried });
  await page.dispatchEvent("#drop", "drop", { dataTransfer: carried });
  await states(page, "done");
  await scene.shot("dropped");
  return { over, ...(await page.evaluate(() => window.watched)), text: await text(page) };
}

/** Where it plays, and which word is lit, over and over. */
const sampled = (page, ms) =>
  page.evaluate(
    (ms) =>
      new Promise((resolve) => {
        const samples = [];
        const end = performance.now() + ms;
        const look = () => {
          samples.push({
            at: Number(document.querySelector(".track input").value),
            lit: document.querySelector(".word.lit")?.firstChild.textContent ?? null,
          });
          if (performance.now() < end) setTimeout(look, 40);
          else resolve(samples);
        };
        look();
      }),
    ms,
  );

export async function play(scene) {
  const page = await scene.page();
  await transcribed(page, [scene.file("english.wav")]);
  await page.locator(".word", { hasText: "Martha" }).click();
  const samples = await sampled(page, 2300);
  await scene.shot("playing");
  const playing = await page.getAttribute(".play", "aria-label");
  await page.click(".play");
  const [before, after] = [(await sampled(page, 50))[0].at, (await sampled(page, 400)).at(-1).at];
  return { samples, playing, paused: await page.getAttribute(".play", "aria-label"), drift: after - before };
}

export async function waveform(scene) {
  const page = await scene.page();
  await transcribed(page, [scene.file("english.wav")]);
  await page.waitForTimeout(300);
  /** How much of each column of the canvas has the colour of what is still to be played. */
  const columns = await page.evaluate(() => {
    const canvas = document.querySelector(".wave");
    const wave = getComputedStyle(canvas).getPropertyValue("--wave").trim();
    const [red, green, blue] = [1, 3, 5].map((at) => parseInt(wave.slice(at, at + 2), 16));
    const { data, width, height } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return Array.from({ length: width }, (_, x) => {
      let count = 0;
      for (let y = 0; y < height; y++) {
        const at = 4 * (y * width + x);
        count +=
          Math.abs(data[at] - red) + Math.abs(data[at + 1] - green) + Math.abs(data[at + 2] - blue) < 12 && data[at + 3] > 200;
      }
      return count / height;
    });
  });
  const box = await page.locator(".track input").boundingBox();
  await page.mouse.click(box.x + box.width * 0.75, box.y + box.height / 2);
  const sought = await page.$eval(".track input", (range) => Number(range.value) / Number(range.max));
  await page.focus(".track input");
  await page.keyboard.press("Home");
  const home = Number(await page.inputValue(".track input"));
  return { columns, sought, home };
}

export async function doubt(scene) {
  const page = await scene.page();
  await transcribed(page, [scene.file("noisy.flac")]);
  const { text: json } = await downloaded(page, () => page.click(".saving >> text=JSON"));
  const marked = await page.$$eval(".word.doubtful", (all) =>
    all.map((word) => ({
      word: word.firstChild.textContent,
      told: word.textContent,
      title: word.title,
      line: getComputedStyle(word).textDecorationLine,
    })),
  );
  await scene.shot("doubtful");
  return { marked, words: JSON.parse(json).words };
}

export async function dropped(scene) {
  const page = await scene.page();
  // Seven attempts at a window of 448 tokens each.
  await transcribed(page, [scene.file("english-other-voice.wav")], 400_000);
  await page.click(".receipt summary");
  const shown = await page.$$eval(".dropped", (all) => all.map((row) => row.innerText));
  const marks = await page.$$eval(".mark", (all) => all.map((mark) => mark.textContent));
  await scene.shot("left out");
  return {
    shown,
    marks,
    receipt: await page.innerText(".receipt"),
    notes: await page.innerText(".notes"),
    demo: await page.isVisible("#demo"),
  };
}

const FORMATS = ["Text", "SRT", "VTT", "JSON"];

async function all(page) {
  const files = {};
  for (const format of FORMATS)
    files[format] = await downloaded(page, () => page.click(`#files .saving >> button:has-text("${format}")`));
  return files;
}

export async function edit(scene) {
  const page = await scene.page();
  await transcribed(page, [scene.file("english.wav")]);
  const before = await all(page);
  await page.click(".segments li:first-child .edit");
  await page.fill("textarea", "We need eggs, fish, brown bread and honey.");
  await scene.shot("editing");
  await page.click(".editor >> text=Save");
  const shown = await text(page);
  const state = await page.innerText("#queue .state");
  const after = await all(page);
  // Left with Escape, nothing changes.
  await page.click(".segments li:nth-child(2) .edit");
  await page.fill("textarea", "Never.");
  await page.keyboard.press("Escape");
  return { before, after, shown, state, left: await text(page) };
}

export async function rules(scene) {
  const page = await scene.page();
  await transcribed(page, [scene.file("english.wav")]);
  await page.click("#files .rules summary");
  await page.selectOption("#file-subtitles", "tidy");
  const hint = await page.getAttribute("#file-max_line_width", "placeholder");
  await page.fill("#file-max_line_width", "18");
  await page.press("#file-max_line_width", "Tab");
  await scene.shot("rules");
  const narrow = await downloaded(page, () => page.click('#files .saving >> button:has-text("SRT")'));
  await page.check("#file-highlight");
  const lit = await downloaded(page, () => page.click('#files .saving >> button:has-text("VTT")'));
  await page.fill("#file-max_line_width", "0");
  await page.press("#file-max_line_width", "Tab");
  await page.click('#files .saving >> button:has-text("SRT")');
  await page.locator(".saving .wrong:not(:empty)").waitFor();
  return { hint, narrow: narrow.text, lit: lit.text, refused: await page.innerText("#files .saving .wrong") };
}

export async function options(scene) {
  const page = await scene.page();
  await page.waitForFunction(() => document.querySelectorAll("#language option").length > 50);
  const languages = await page.$$eval("#language option", (all) => all.length - 1);
  await page.selectOption("#task", "translate");
  await transcribed(page, [scene.file("spanish.wav")]);
  const translated = await text(page);
  await page.selectOption("#language", "fr");
  await page.setInputFiles("#picked", [scene.file("english.wav")]);
  await states(page, "failed");
  const failed = await page.innerText('[data-state="failed"] .state');
  await page.reload();
  await page.waitForFunction(() => document.querySelector("#language").value === "fr");
  const stored = await page.evaluate(() => ({ local: localStorage.length, cookies: document.cookie }));
  return { languages, translated, failed, stored, task: await page.inputValue("#task") };
}

export async function several(scene) {
  const page = await scene.page();
  await slowly(page, 200_000);
  const names = ["english.wav", "spanish.wav", "german.wav", "english-other-voice.wav"];
  await page.setInputFiles(
    "#picked",
    names.map((name) => scene.file(name)),
  );
  const first = await page.$$eval("#queue li", (rows) => rows.map((row) => row.dataset.state));
  await page.click('[aria-label="Cancel: german.wav"]');
  const cancelled = await page.getAttribute("#queue li:nth-child(3)", "data-state");
  await page.click('[aria-label="Cancel: english.wav"]');
  await states(page, "done", 2);
  const between = await page.$$eval("#queue li", (rows) => rows.map((row) => row.dataset.state));
  await page.click('[aria-label="Again: german.wav"]');
  await page.click('[aria-label="Again: english.wav"]');
  await states(page, "done", 4);
  const texts = {};
  for (const name of names) {
    await page.click(`#queue .name:text-is("${name}")`);
    texts[name] = await text(page);
  }
  await page.click('[aria-label="Remove: spanish.wav"]');
  return {
    first,
    cancelled,
    between,
    texts,
    left: await page.$$eval("#queue .name", (all) => all.map((name) => name.textContent)),
  };
}
