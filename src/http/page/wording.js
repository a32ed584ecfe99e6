// Words with their times and a text that was edited in; words of the new text with times that fit out. Pure.

/**
 * Words that are still there keep their times and what the model thought of them. Those that came share the time of those that went,
 * or of the gap between their neighbours, by their length; `probability` is `null`, for no model said them.
 */
export function respoken(words, text, segment) {
  const spoken = text.trim().split(/\s+/).filter(Boolean);
  const pairs = common(
    words.map(({ word }) => word),
    spoken,
  );
  const out = [];
  let [before, after] = [0, 0];
  for (const [old, now] of [...pairs, [words.length, spoken.length]]) {
    const gone = words.slice(before, old);
    const start = gone[0]?.start ?? words[before - 1]?.end ?? segment.start;
    const end = gone.at(-1)?.end ?? words[old]?.start ?? segment.end;
    out.push(...spread(spoken.slice(after, now), start, Math.max(start, end)));
    if (old < words.length) out.push(words[old]);
    [before, after] = [old + 1, now + 1];
  }
  return out;
}

function spread(spoken, start, end) {
  const all = spoken.reduce((sum, word) => sum + word.length, 0);
  let from = 0;
  return spoken.map((word) => {
    const at = (chars) => Math.round((start + ((end - start) * chars) / all) * 1000) / 1000;
    const [begins, ends] = [at(from), at(from + word.length)];
    from += word.length;
    return { word, start: begins, end: ends, probability: null };
  });
}

/** The longest common subsequence, as pairs of places. A segment has some tens of words. */
function common(one, other) {
  const longest = Array.from({ length: one.length + 1 }, () => new Uint16Array(other.length + 1));
  for (let i = one.length - 1; i >= 0; i--) {
    for (let j = other.length - 1; j >= 0; j--) {
      longest[i][j] = one[i] === other[j] ? longest[i + 1][j + 1] + 1 : Math.max(longest[i + 1][j], longest[i][j + 1]);
    }
  }
  const pairs = [];
  for (let i = 0, j = 0; i < one.length && j < other.length;) {
    if (one[i] === other[j]) pairs.push([i++, j++]);
    else if (longest[i + 1][j] >= longest[i][j + 1]) i++;
    else j++;
  }
  return pairs;
}

/** The document with the text of one segment replaced: the segment says `edited`, and figures about what the model said are gone. */
export function edit(doc, index, text) {
  const old = doc.segments[index];
  const words = old.words ? { words: respoken(old.words, text, old) } : {};
  const figures = { tokens: [], avg_logprob: null, compression_ratio: null, risk: [] };
  // Most languages begin a segment with a space; those that write none do not.
  const space = /^\s/.test(old.text) ? " " : "";
  const segment = { ...old, text: space + text.trim(), ...words, ...figures, edited: true };
  const segments = doc.segments.with?.(index, segment) ?? doc.segments.map((it, at) => (at === index ? segment : it));
  const kept = segments.filter((it) => it.text.trim());
  return {
    ...doc,
    segments,
    text: kept
      .map((it) => it.text)
      .join("")
      .trim(),
    ...(doc.words ? { words: segments.flatMap((it) => it.words ?? []) } : {}),
  };
}
