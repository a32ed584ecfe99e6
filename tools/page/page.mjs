// Everything that the page must do, done by a browser. In: one JSON object as the argument (page.py makes it); `CLIENTS`, the folder that
// holds playwright-core and axe-core; `CHROMIUM`, the program; `SHOTS`, a folder for pictures. Out: one JSON object a line for each thing
// done, which page.py judges; `{"please": ...}` asks it to kill or to start a server, and waits for a line.

import * as files from "./files.mjs";
import * as looks from "./looks.mjs";
import * as sound from "./sound.mjs";
import * as trouble from "./trouble.mjs";
import { Stage } from "./stage.mjs";

const stage = await Stage.open(JSON.parse(process.argv[2]));
const { given } = stage;

const each = async (address, acts) => {
  for (const [what, act] of acts) await stage.act(what, address, act);
};

await each(given.server, [["first paint and weight", looks.paint]]);
// Beside the others: a model that says nonsense until its window is full takes its time on any machine, and so does what is spoken.
const beside = [
  each(given.raving, [["what was left out is shown", files.dropped]]),
  each(given.server, [
    ["a recording of the microphone", sound.record],
    ["a dictation", sound.dictate],
    ["a phone", looks.phone],
    ["the keyboard alone", looks.keyboard],
    ["axe", looks.axe],
  ]),
];
await each(given.server, [
  ["the demo notice and its sample", files.demo],
  ["a file is dropped", files.drop],
  ["a word is clicked and followed", files.play],
  ["the waveform", files.waveform],
  ["doubtful words", files.doubt],
  ["the text is edited, and every format downloaded", files.edit],
  ["subtitle rules", files.rules],
  ["language and task", files.options],
  ["several files", files.several],
  ["the device", looks.device],
  ["the device, with the figures of a GPU put in", looks.gpu],
  ["pictures", looks.pictures],
]);
await Promise.all(beside);
await each(given.closed, [
  ["a key, a wrong one first", trouble.keys],
  ["a dictation with a key", trouble.keyedDictation],
  ["a server that is busy", trouble.busy],
]);
await each(given.bare, [["a server without a model", trouble.bare]]);
await each(given.server, [
  ["a server that goes and comes back", trouble.gone],
  ["a dictation whose server goes", trouble.broken],
]);
await stage.close();
