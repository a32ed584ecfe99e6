// A recording in; its loudness over time, its segments and the place that is played, on a canvas, out.

/** Points of loudness kept of a recording; more than any screen has columns. */
const POINTS = 3000;
/** Decoded samples are held in memory as a whole: longer or larger files get a plain line. */
const MOST_SECONDS = 3 * 3600;
const MOST_BYTES = 200e6;
/** Bytes a second of the smallest recordings, for those that do not say how long they are. */
const LEAST_RATE = 2000;
/** Loudness needs no more, and an hour is 115 MB. */
const RATE = 8000;

/** `{points, seconds}`, or `null` where the browser cannot decode it, or should not. */
export async function loudness(file, seconds) {
  if (file.size > MOST_BYTES || (seconds || file.size / LEAST_RATE) > MOST_SECONDS) return null;
  try {
    const audio = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(await file.arrayBuffer());
    const points = new Float32Array(Math.min(POINTS, audio.length));
    for (let channel = 0; channel < audio.numberOfChannels; channel++) {
      const samples = audio.getChannelData(channel);
      for (let at = 0; at < samples.length; at++) {
        const point = Math.floor((at * points.length) / samples.length);
        const loud = Math.abs(samples[at]);
        if (loud > points[point]) points[point] = loud;
      }
    }
    const most = points.reduce((one, other) => Math.max(one, other), 0.01);
    return { points: points.map((point) => point / most), seconds: audio.duration };
  } catch {
    return null;
  }
}

export class Waveform {
  #canvas;
  #points = null;
  #spans = [];
  #seconds = 0;
  #now = 0;

  constructor(canvas) {
    this.#canvas = canvas;
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  /** `spans`: `{start, end, kind}`, where `kind` is `said` or `dropped`. */
  set({ points = this.#points, spans = this.#spans, seconds = this.#seconds }) {
    [this.#points, this.#spans, this.#seconds] = [points, spans, seconds];
    this.draw();
  }

  at(seconds) {
    this.#now = seconds;
    this.draw();
  }

  draw() {
    const canvas = this.#canvas;
    const { clientWidth: width, clientHeight: height } = canvas;
    if (!width) return;
    const scale = devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * scale)) canvas.width = Math.round(width * scale);
    if (canvas.height !== Math.round(height * scale)) canvas.height = Math.round(height * scale);
    const ink = canvas.getContext("2d");
    ink.setTransform(scale, 0, 0, scale, 0, 0);
    ink.clearRect(0, 0, width, height);
    const style = getComputedStyle(canvas);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    const x = (seconds) => (this.#seconds ? (seconds / this.#seconds) * width : 0);
    this.#drawSpans(ink, x, height, colour);
    this.#drawLoudness(ink, x(this.#now), width, height, colour);
    if (this.#seconds) {
      ink.fillStyle = colour("ink");
      ink.fillRect(Math.min(width - 2, x(this.#now)), 0, 2, height);
    }
  }

  #drawSpans(ink, x, height, colour) {
    for (const { start, end, kind } of this.#spans) {
      const [from, long] = [x(start), Math.max(2, x(end) - x(start) - 1)];
      const current = this.#now >= start && this.#now < end;
      ink.fillStyle = colour(kind === "dropped" ? "warm-back" : current ? "span-now" : "span");
      ink.beginPath();
      ink.roundRect(from, 0, long, height, 4);
      ink.fill();
      ink.fillStyle = colour(kind === "dropped" ? "warm" : "accent");
      // Told apart by their shape too: what was dropped has dashes below it.
      if (kind === "dropped")
        for (let at = from; at < from + long; at += 6) ink.fillRect(at, height - 3, Math.min(3, from + long - at), 3);
      else ink.fillRect(from, height - 2, long, 2);
    }
  }

  #drawLoudness(ink, now, width, height, colour) {
    const [played, ahead] = [colour("accent"), colour("wave")];
    const middle = height / 2;
    for (let left = 0; left < width; left += 3) {
      let loud = 0;
      if (this.#points) {
        const [from, to] = [left, left + 3].map((edge) => Math.floor((edge / width) * this.#points.length));
        for (let at = from; at < Math.max(from + 1, to); at++) loud = Math.max(loud, this.#points[at] ?? 0);
      }
      const tall = Math.max(2, loud * (height - 12));
      ink.fillStyle = left < now ? played : ahead;
      ink.fillRect(left, middle - tall / 2, 2, tall);
    }
  }
}
