// Keys, a server that is busy, and one that is gone.

import { spoken } from "./sound.mjs";
import { slowly, states, text, watch } from "./stage.mjs";

export async function keys(scene) {
  const { key } = scene.given;
  const page = await scene.page();
  await page.locator("#needs-key").waitFor();
  const notice = await page.innerText("#needs-key");
  await page.setInputFiles("#picked", [scene.file("english.wav")]);
  await page.locator("#keys[open]").waitFor();
  const waiting = await page.innerText("#queue .state");
  await page.fill("#keys-secret", "a-wrong-key-0123456789");
  await page.click("#keys button.strong");
  await page.locator("#keys[open] #keys-wrong:not(:empty)").waitFor();
  const wrong = await page.innerText("#keys-wrong");
  await scene.shot("wrong key");
  await page.fill("#keys-secret", key);
  await page.click("#keys button.strong");
  await states(page, "done");
  const heard = await text(page);
  const kept = await page.evaluate(() => ({
    local: { ...localStorage },
    cookies: document.cookie,
    session: { ...sessionStorage },
    address: location.href,
  }));
  await page.locator("#needs-key").waitFor({ state: "hidden" });
  await page.reload();
  await page.waitForFunction(() => document.querySelector(".figures > div:not([hidden]) dd")?.textContent);
  // Another tab of the same browser knows nothing of it.
  const other = await scene.page({}, scene.contexts[0]);
  await other.locator("#needs-key").waitFor();
  const elsewhere = await other.evaluate(() => sessionStorage.length);
  await page.bringToFront();
  await page.click("#key");
  await page.click("#keys-forget");
  await page.locator("#needs-key").waitFor();
  return {
    notice,
    waiting,
    wrong,
    text: heard,
    kept: JSON.stringify(kept),
    key,
    elsewhere,
    forgotten: await page.evaluate(() => sessionStorage.length),
  };
}

async function give(page, key) {
  await page.click("#give-key");
  await page.fill("#keys-secret", key);
  await page.keyboard.press("Enter");
}

export async function keyedDictation(scene) {
  const page = await scene.page();
  await page.click("#tab-live");
  await page.click("#live button.strong");
  await page.locator("#keys[open]").waitFor();
  await page.fill("#keys-secret", scene.given.key);
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector("#live .turn .said")?.textContent.trim());
  const said = await page.innerText("#live .said");
  await page.click("#live button.strong");
  await page.waitForFunction(() => document.querySelector("#live .drop .hint").textContent.startsWith("Done"));
  return { said };
}

export async function busy(scene) {
  const page = await scene.page();
  await page.locator("#needs-key").waitFor();
  await give(page, scene.given.key);
  await page.evaluate(() => {
    window.later = [];
    new MutationObserver(() => {
      const state = document.querySelector('#queue [data-state="later"] .state')?.textContent;
      if (state && state !== window.later.at(-1)) window.later.push(state);
    }).observe(document.getElementById("queue"), { subtree: true, childList: true, characterData: true, attributes: true });
  });
  // The server has room for one request, and the page sends two.
  await slowly(page, 250_000);
  await page.setInputFiles("#picked", [scene.file("english.wav"), scene.file("spanish.wav")]);
  await states(page, "later");
  await scene.shot("busy");
  await states(page, "done", 2);
  return { later: await page.evaluate(() => window.later) };
}

export async function bare(scene) {
  const page = await scene.page();
  await page.locator("#no-model").waitFor();
  await page.setInputFiles("#picked", [scene.file("english.wav")]);
  await states(page, "failed");
  return {
    notice: await page.innerText("#no-model"),
    state: await page.innerText("#queue .state"),
    demo: await page.isVisible("#demo"),
  };
}

/** The server is killed after the first turn, and the dictation gone on with once it is back. */
export async function broken(scene) {
  const page = await scene.page();
  await page.click("#tab-live");
  await page.click("#live button.strong");
  await page.waitForFunction(() => document.querySelector("#live .turn .said")?.textContent.trim());
  await scene.stage.please("kill");
  await page.locator("#live .wrong:not(:empty)").waitFor();
  const [said, kept] = [await page.innerText("#live .wrong"), await spoken(page)];
  await scene.shot("dictation broken");
  await scene.stage.please("start");
  await page.locator("#gone").waitFor({ state: "hidden" });
  await page.click("#live button.strong");
  await page.waitForFunction(
    () =>
      document.querySelectorAll("#live .turn").length > 1 &&
      document.querySelector("#live .turn:last-child .said").textContent.trim(),
  );
  await page.click("#live button.strong");
  await page.waitForFunction(() => document.querySelector("#live .drop .hint").textContent.startsWith("Done"));
  return { said, kept, text: await spoken(page), wrong: await page.innerText("#live .wrong") };
}

export async function gone(scene) {
  const page = await scene.page();
  await watch(page);
  const network = await slowly(page, 60_000);
  await page.setInputFiles("#picked", [
    scene.file("english.wav"),
    scene.file("german.wav"),
    scene.file("english-other-voice.wav"),
  ]);
  await page.waitForFunction(() => /Sending [1-9]/.test(document.querySelector("#queue .state")?.textContent));
  await scene.stage.please("kill");
  await page.locator("#gone").waitFor();
  await states(page, "away");
  const during = await page.$$eval("#queue li", (rows) => rows.map((row) => row.dataset.state));
  const said = await page.innerText("#gone");
  await scene.shot("gone");
  await network.send("Network.emulateNetworkConditions", {
    offline: false,
    latency: 0,
    downloadThroughput: -1,
    uploadThroughput: -1,
  });
  await scene.stage.please("start");
  await states(page, "done", 3);
  await page.locator("#gone").waitFor({ state: "hidden" });
  // The panel goes on too.
  await page.waitForFunction(() => !document.querySelector(".device.stale"));
  const texts = {};
  for (const name of await page.$$eval("#queue .name", (all) => all.map((name) => name.textContent))) {
    await page.click(`#queue .name:text-is("${name}")`);
    texts[name] = await text(page);
  }
  return { during, said, texts };
}
