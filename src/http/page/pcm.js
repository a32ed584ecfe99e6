// An AudioWorklet. Samples of the microphone in; packets of 16-bit samples at the rate that was asked for, with their loudness, out.

/** Seconds of a packet. */
const PACKET = 0.1;

registerProcessor(
  "pcm",
  class extends AudioWorkletProcessor {
    constructor({ processorOptions: { rate } }) {
      super();
      this.step = sampleRate / rate;
      this.packet = new Int16Array(Math.round(rate * PACKET));
      this.filled = 0;
      this.place = 0;
      this.sum = 0;
      this.weight = 0;
    }

    /** Where the rates differ, each sample is the mean of those it stands for. */
    process([[samples]]) {
      for (const sample of samples ?? []) {
        this.sum += sample;
        this.weight += 1;
        this.place += 1;
        if (this.place < this.step) continue;
        this.place -= this.step;
        this.put(this.sum / this.weight);
        this.sum = this.weight = 0;
      }
      return true;
    }

    put(sample) {
      this.packet[this.filled++] = Math.max(-1, Math.min(1, sample)) * 32767;
      if (this.filled < this.packet.length) return;
      const loud = Math.sqrt(this.packet.reduce((sum, it) => sum + it * it, 0) / this.filled) / 32767;
      const { buffer } = this.packet;
      this.packet = new Int16Array(this.filled);
      this.filled = 0;
      this.port.postMessage({ buffer, loud }, [buffer]);
    }
  },
);
