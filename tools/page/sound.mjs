// The microphone: recorded into a file, and dictated live.

import { downloaded, states, text } from "./stage.mjs";

export async function record(scene) {
  const page = await scene.page();
  await page.click("#record");
  await page.waitForFunction(() => /Recording · 0:0[2-9]/.test(document.getElementById("record-state").textContent));
  await scene.shot("recording");
  await page.waitForTimeout((scene.given.seconds - 2) * 1000);
  const label = await page.innerText("#record-label");
  await page.click("#record");
  await states(page, "done");
  const name = await page.innerText("#queue .name");
  // A recorder's file does not say how long it is, and can be played all the same.
  await page.click(".from >> nth=-1");
  await page.waitForFunction(() => document.querySelector(".word.lit"));
  const [at, most] = await page.$eval(".track input", (range) => [Number(range.value), Number(range.max)]);
  return { label, name, text: await text(page), at, most };
}

export async function dictate(scene) {
  const page = await scene.page();
  await page.click("#tab-live");
  await page.click("#live button.strong");
  await page.waitForFunction(() => document.querySelector("#live .turn .said")?.textContent.trim());
  // While it goes on.
  const early = {
    text: await spoken(page),
    running: await page.innerText("#live button.strong"),
    level: await page.isVisible("#live .level"),
  };
  await scene.shot("dictating");
  await page
    .waitForFunction(
      (words) => document.querySelector("#live .spoken").innerText.split(/\s+/).length >= words,
      scene.given.words,
      { timeout: 30_000 },
    )
    .catch(() => {});
  await page.click("#live button.strong");
  await page.waitForFunction(() => document.querySelector("#live .drop .hint").textContent.startsWith("Done"));
  const files = {};
  for (const format of ["Text", "SRT", "VTT", "JSON"])
    files[format] = await downloaded(page, () => page.click(`#live .saving >> button:has-text("${format}")`));
  await scene.shot("dictated");
  return { early, text: await spoken(page), files };
}

export const spoken = (page) => page.$$eval("#live .said", (all) => all.map((said) => said.textContent).join(" "));
