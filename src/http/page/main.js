// The page comes alive: its parts are put together here, and nowhere else.

import * as device from "./device.js";
import * as live from "./live.js";
import * as options from "./options.js";
import * as queue from "./queue.js";
import * as reader from "./reader.js";
import * as recorder from "./recorder.js";
import { address } from "./server.js";
import { byId } from "./element.js";

reader.setUp();
queue.setUp(reader);
options.setUp();
recorder.setUp(queue.add);
live.setUp();
device.setUp();
tabs([...document.querySelectorAll("[role=tab]")]);
dropping();

byId("choose").addEventListener("click", () => byId("picked").click());
byId("picked").addEventListener("change", ({ target }) => {
  queue.add([...target.files]);
  // The same file may be chosen again.
  target.value = "";
});
byId("sample").addEventListener("click", async () => {
  const sound = await fetch(address("page/sample.mp3")).then((answer) => answer.blob());
  queue.add([new File([sound], "sample.mp3", { type: sound.type })]);
});

function dropping() {
  let depth = 0;
  const over = (by) => {
    depth = by ? Math.max(0, depth + by) : 0;
    document.body.classList.toggle("over", depth > 0);
  };
  const carries = (event) => event.dataTransfer?.types.includes("Files");
  // Anywhere on the page: a file that misses the box must not replace the page.
  addEventListener("dragenter", (event) => carries(event) && over(1));
  addEventListener("dragleave", (event) => carries(event) && over(-1));
  addEventListener("dragover", (event) => carries(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    over(0);
    byId("tab-files").click();
    queue.add([...event.dataTransfer.files]);
  });
}

function tabs(all) {
  const choose = (tab) => {
    for (const each of all) {
      const chosen = each === tab;
      each.setAttribute("aria-selected", chosen);
      each.tabIndex = chosen ? 0 : -1;
      byId(each.getAttribute("aria-controls")).hidden = !chosen;
    }
  };
  for (const [at, tab] of all.entries()) {
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", ({ key }) => {
      const way = { ArrowRight: 1, ArrowLeft: -1 }[key];
      if (!way) return;
      const next = all[(at + way + all.length) % all.length];
      choose(next);
      next.focus();
    });
  }
}
