// OpenAI's own JavaScript client. In: the server's address; `CLIENTS`, the folder that holds its package. Out: exit 0 where every call
// works. Run by openai_node.py.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";

const require = createRequire(path.join(process.env.CLIENTS ?? process.cwd(), "package.json"));
const OpenAI = require("openai").default ?? require("openai");
const { toFile } = require("openai");

const speech = (name) => new URL(`../../tests/fixtures/speech/${name}`, import.meta.url);
const stream = () => fs.createReadStream(speech("english.wav"));
const client = new OpenAI({ baseURL: `${process.argv[2]}/v1`, apiKey: process.env.KEY ?? "none" });
const { transcriptions, translations } = client.audio;
const model = "whisper-1";

const short = await transcriptions.create({ file: stream(), model });
assert.ok(short.text && short.usage.type === "duration", JSON.stringify(short));
const verbose = await transcriptions.create({
  file: stream(), model, response_format: "verbose_json", timestamp_granularities: ["word", "segment"],
});
assert.equal(verbose.language, "english");
assert.ok(verbose.words[0].end > verbose.words[0].start && verbose.segments[0].tokens.length > 0);
for (const [response_format, begins] of [["text", short.text], ["srt", "1\n00:00:0"], ["vtt", "WEBVTT\n\n"]]) {
  const text = await transcriptions.create({ file: stream(), model, response_format });
  assert.ok(text.startsWith(begins), text);
}
const likely = await transcriptions.create({ file: stream(), model, include: ["logprobs"] });
assert.ok(likely.logprobs.every((token) => token.logprob <= 0 && token.bytes.length > 0));

let told = "";
let done;
for await (const event of await transcriptions.create({ file: stream(), model, stream: true })) {
  if (event.type === "transcript.text.delta") told += event.delta;
  if (event.type === "transcript.text.done") done = event;
}
assert.equal(done.text, told);
assert.equal(told, short.text);

const english = await translations.create({ file: fs.createReadStream(speech("spanish.wav")), model });
assert.ok(english.text);
const bytes = await toFile(fs.readFileSync(speech("english.wav")), "speech.wav");
const many = await Promise.all(Array.from({ length: 6 }, () => transcriptions.create({ file: bytes, model })));
assert.ok(many.every((answer) => answer.text === short.text));

await assert.rejects(transcriptions.create({ file: stream(), model: "whisper-9" }), (error) => error.status === 404 && error.code === "model_not_found");
await assert.rejects(transcriptions.create({ file: stream(), model, language: "klingon" }), (error) => error.status === 400 && error.param === "language");
await assert.rejects(transcriptions.create({ file: stream(), model }, { timeout: 1, maxRetries: 0 }));
const names = [];
for await (const one of client.models.list()) names.push(one.id);
assert.ok(names.includes("whisper-1"), names.join());
console.log(`openai-node: all calls work (${short.text.length} characters, ${many.length} at once)`);
