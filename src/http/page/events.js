// The text of an event stream as it grows in; its events out, each once, as they are complete.

export class Events {
  #read = 0;

  /** `text` is all that has come so far. */
  of(text) {
    const found = [];
    for (;;) {
      const end = text.indexOf("\n\n", this.#read);
      if (end < 0) return found;
      const lines = text.slice(this.#read, end).split("\n");
      this.#read = end + 2;
      // Lines that begin with a colon keep the connection alive.
      const data = lines.filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trimStart());
      if (data.length) found.push(JSON.parse(data.join("\n")));
    }
  }
}
