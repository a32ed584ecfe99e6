// How fast and how heavy the page is, the panel of the device, small screens, no mouse, and whoever does not see it.

import fs from "node:fs";
import path from "node:path";
import { axeSource, downloaded, states, text, transcribed } from "./stage.mjs";

/** The page anew, and what of it went over the wire. */
async function weighed(page, address) {
  const session = await page.context().newCDPSession(page);
  let [bytes, requests] = [0, 0];
  await session.send("Network.enable");
  session.on("Network.loadingFinished", ({ encodedDataLength }) => {
    bytes += encodedDataLength;
    requests += 1;
  });
  await page.goto(address, { waitUntil: "networkidle" });
  await session.detach();
  const paints = await page.evaluate(() => performance.getEntriesByType("paint").map(({ name, startTime }) => [name, startTime]));
  return { bytes, requests, ...Object.fromEntries(paints) };
}

/** Three visitors who never were here, and one of them again. */
export async function paint(scene) {
  const firsts = [];
  let page;
  for (let visitor = 0; visitor < 3; visitor++) {
    const context = await scene.stage.browser.newContext();
    scene.contexts.push(context);
    page = await context.newPage();
    firsts.push(await weighed(page, scene.address));
  }
  return { firsts, again: await weighed(page, scene.address) };
}

const panel = (page) =>
  page.$$eval(".figures > div:not([hidden])", (rows) =>
    Object.fromEntries(
      rows.map((row) => {
        const bar = row.querySelector("meter:not([hidden])");
        return [row.querySelector("dt").textContent, { text: row.querySelector("dd").innerText, bar: bar?.value }];
      }),
    ),
  );

export async function device(scene) {
  const page = await scene.page();
  let looks = 0;
  page.on("response", (response) => (looks += response.url().endsWith("/gpu-info")));
  await transcribed(page, [scene.file("english.wav")]);
  await page.waitForFunction(() => /now [1-9]|now 0\.[0-9]*[1-9]/.test(document.querySelector(".caption").textContent));
  const info = await page.evaluate(() => fetch("/gpu-info").then((answer) => answer.json()));
  const seen = looks;
  await page.waitForTimeout(4200);
  return {
    panel: await panel(page),
    info,
    looks: looks - seen,
    name: await page.innerText(".device-name"),
    note: await page.innerText(".device .hint:last-child"),
    caption: await page.innerText(".caption"),
    points: (await page.getAttribute(".chart .line", "points")).split(" ").length,
  };
}

/** No machine that runs this has a GPU, so the fields that the driver would fill in are filled in here; all others are the server's. */
export async function gpu(scene) {
  const context = await scene.stage.browser.newContext({ viewport: { width: 1280, height: 900 } });
  scene.contexts.push(context);
  await context.route("**/gpu-info", async (route) => {
    const info = await (await route.fetch()).json();
    const memory = { total: 150_754_820_096, used: 37_688_705_024, free: 113_066_115_072 };
    const driver = {
      cuda_available: true,
      device: "cuda:0",
      gpu_name: "NVIDIA H200",
      gpu_count: 1,
      gpu_memory: memory,
      gpu_utilization_percent: 87,
      gpu_temperature_celsius: 61,
      gpu_power_watts: 512.4,
    };
    await route.fulfill({
      json: { ...info, ...driver, note: null, queue_depth_windows: 12, queue_audio_seconds: 331.5, slots_busy: 8 },
    });
  });
  const page = await scene.page({}, context);
  await page.waitForFunction(() => document.querySelector(".device-name").textContent.includes("H200"));
  await scene.shot("gpu");
  return {
    panel: await panel(page),
    name: await page.innerText(".device-name"),
    note: await page.isVisible(".device .hint:last-child"),
  };
}

const PHONE = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };

/** What is wider than the screen, and what is too small for a finger. Words are part of a text, as links in a sentence are. */
const measured = (page) =>
  page.evaluate(() => {
    const visible = [...document.querySelectorAll("button, select, summary, input:not([type=range])")].filter((it) =>
      it.checkVisibility(),
    );
    const small = visible
      .map((it) => [it.getAttribute("aria-label") ?? it.textContent.trim(), it.closest("label.check") ?? it])
      .map(([name, it]) => [name, it.getBoundingClientRect()])
      .filter(([, box]) => box.height < 43.5 || box.width < 24);
    return {
      wide: document.documentElement.scrollWidth,
      targets: visible.length,
      small: small.map(([name, box]) => `${name} ${Math.round(box.width)}×${Math.round(box.height)}`),
    };
  });

export async function phone(scene) {
  const page = await scene.page(PHONE);
  await page.locator("#demo").waitFor();
  const empty = await measured(page);
  await transcribed(page, [scene.file("english.wav"), scene.file("noisy.flac")]);
  await page.tap("#files .rules summary");
  await page.tap(".receipt summary");
  await page.tap(".device summary");
  const full = await measured(page);
  await scene.shot("phone");
  await page.locator(".word", { hasText: "Rome" }).tap();
  await page.waitForFunction(() => document.querySelector(".word.lit")?.textContent === "Rome");
  await page.tap("#tab-live");
  return { empty, full, live: await measured(page) };
}

/** Tab until the focus is on what `name` finds; a focus that cannot be seen fails. */
async function reach(page, name, key = "Tab") {
  for (let presses = 0; presses < 80; presses++) {
    await page.keyboard.press(key);
    const focus = await page.evaluate((name) => {
      const it = document.activeElement;
      const ring = it.matches(".track input") ? it.parentElement : it;
      return {
        there: it.matches(name),
        what: it.outerHTML.slice(0, 120),
        seen: it === document.body || getComputedStyle(ring).outlineStyle !== "none",
      };
    }, name);
    if (!focus.seen) throw new Error(`the focus on ${focus.what} is not to be seen`);
    if (focus.there) return presses + 1;
  }
  throw new Error(`the tab key does not reach ${name}`);
}

export async function keyboard(scene) {
  const page = await scene.page();
  // The browser is told of whoever waits, which takes longer than a key.
  const choosing = page.waitForEvent("filechooser");
  choosing.catch(() => {});
  await page.locator("#demo").waitFor();
  await reach(page, "[role=tab]");
  await page.keyboard.press("ArrowRight");
  const tab = await page.evaluate(() => [document.activeElement.id, document.getElementById("live").checkVisibility()]);
  await page.keyboard.press("ArrowLeft");
  await reach(page, "#choose");
  await page.keyboard.press("Enter");
  const chooser = await choosing;
  await chooser.setFiles([scene.file("english.wav")]);
  await states(page, "done");
  await reach(page, ".track input");
  const moved = [];
  for (const key of ["ArrowRight", "PageUp", "Home", "ArrowRight"]) {
    await page.keyboard.press(key);
    moved.push(Number(await page.inputValue(".track input")));
  }
  await reach(page, ".word");
  for (const key of ["ArrowRight", "ArrowRight", "ArrowDown", "ArrowRight", "Enter"]) await page.keyboard.press(key);
  await page.waitForFunction(() => document.querySelector(".word.lit"));
  const lit = await page.$eval(".word.lit", (word) => word.textContent);
  await reach(page, ".play", "Shift+Tab");
  await page.keyboard.press("Space");
  await page.locator('.play[aria-label="Play"]').waitFor();
  await reach(page, ".edit");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Control+A");
  await page.keyboard.type("Typed with the keyboard alone.");
  await page.keyboard.press("Enter");
  const back = await page.evaluate(() => document.activeElement.className);
  await reach(page, '[aria-label="Download as SRT"]');
  const file = await downloaded(page, () => page.keyboard.press("Enter"));
  await reach(page, '[aria-label="Remove: english.wav"]', "Shift+Tab");
  await reach(page, ".queue .name", "Shift+Tab");
  return { tab, moved, lit, back, text: await text(page), file: file.text };
}

export async function axe(scene) {
  const source = axeSource();
  const found = {};
  const check = async (name, page) => {
    await page.waitForTimeout(350);
    await page.evaluate(source);
    const { violations, passes } = await page.evaluate(() => axe.run(document, { resultTypes: ["violations", "passes"] }));
    found[name] = {
      passes: passes.length,
      violations: violations.map(({ id, impact, nodes }) => ({
        id,
        impact,
        where: nodes.slice(0, 4).map((node) => `${node.target} ${node.any[0]?.message ?? ""}`),
      })),
    };
  };
  for (const [name, options] of [
    ["light", {}],
    ["dark", { colorScheme: "dark" }],
    ["phone", PHONE],
  ]) {
    const page = await scene.page(options);
    await page.locator("#demo").waitFor();
    await check(`${name}, empty`, page);
    await transcribed(page, [scene.file("noisy.flac"), scene.file("english.wav")]);
    await page.click("#files .rules summary");
    await page.click(".receipt summary");
    if (name === "phone") await page.click(".device summary");
    await page.click(".segments li:first-child .edit");
    await check(`${name}, a transcript`, page);
    await page.keyboard.press("Escape");
    await page.click("#tab-live");
    await check(`${name}, dictation`, page);
    // The dialog that a server with keys opens.
    await page.evaluate(() => document.getElementById("keys").showModal());
    await check(`${name}, the key`, page);
  }
  return { found };
}

/** The README's among them: docs/page.png is `page-light.png`. */
export async function pictures(scene) {
  if (!process.env.SHOTS) return { taken: 0 };
  let taken = 0;
  for (const [name, options] of [
    ["light", {}],
    ["dark", { colorScheme: "dark" }],
    ["phone-light", PHONE],
    ["phone-dark", { ...PHONE, colorScheme: "dark" }],
  ]) {
    const page = await scene.page({ viewport: { width: 1280, height: 1000 }, ...options });
    await page.locator("#demo").waitFor();
    const shoot = (view, full = false) =>
      page.screenshot({ path: path.join(process.env.SHOTS, `page-${name}${view}.png`), fullPage: full });
    await shoot("-empty");
    await transcribed(page, [scene.file("english-long.mp3"), scene.file("noisy.flac"), scene.file("spanish.wav")]);
    await page.locator(".word").nth(14).click();
    await page.waitForTimeout(900);
    await page.mouse.move(0, 0);
    await page.evaluate(() => scrollTo(0, 0));
    await shoot("");
    await shoot("-full", true);
    taken += 3;
  }
  return { taken, there: fs.readdirSync(process.env.SHOTS).length };
}
