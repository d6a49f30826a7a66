// prometheus.js - reading the text that /metrics gives, and what follows from two readings of it.

/** [{name, labels: {..}, value}] and the types and helps by family. */
export function parse(text) {
  const samples = [], families = new Map();
  for (const line of text.split('\n')) {
    const comment = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line);
    if (comment) {
      const family = families.get(comment[2]) ?? {};
      family[comment[1].toLowerCase()] = comment[3];
      families.set(comment[2], family);
      continue;
    }
    const sample = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line);
    if (!sample) continue;
    const labels = {};
    for (const [, key, value] of (sample[2] ?? '').matchAll(/(\w+)="((?:\\.|[^"\\])*)"/g)) labels[key] = value.replace(/\\(.)/g, (_, c) => (c === 'n' ? '\n' : c));
    samples.push({name: sample[1], labels, value: sample[3] === '+Inf' ? Infinity : Number(sample[3])});
  }
  return {samples, families};
}

const fits = (sample, name, where) => sample.name === name && Object.entries(where ?? {}).every(([k, v]) => (v instanceof RegExp ? v.test(sample.labels[k] ?? '') : sample.labels[k] === v));

/** The sum of a metric over all labels that fit; undefined when there is none. */
export function sum(reading, name, where) {
  const found = reading.samples.filter((s) => fits(s, name, where));
  return found.length ? found.reduce((total, s) => total + s.value, 0) : undefined;
}

/** Growth a second between two readings. */
export function rate(before, now, name, where) {
  const [a, b] = [sum(before, name, where) ?? 0, sum(now, name, where)];
  if (b === undefined) return undefined;
  const seconds = (now.at - before.at) / 1000;
  return seconds > 0 ? Math.max(0, b - a) / seconds : undefined;
}

/** Quantiles of what a histogram has counted between two readings, by interpolation in its buckets. */
export function quantiles(before, now, name, where, wanted) {
  const steps = new Map();
  for (const [reading, sign] of [[before, -1], [now, 1]]) {
    for (const s of reading.samples) {
      if (!fits(s, `${name}_bucket`, where)) continue;
      const le = s.labels.le === '+Inf' ? Infinity : Number(s.labels.le);
      steps.set(le, (steps.get(le) ?? 0) + sign * s.value);
    }
  }
  const edges = [...steps].sort((a, b) => a[0] - b[0]);
  const total = edges.length ? edges[edges.length - 1][1] : 0;
  return wanted.map((q) => {
    if (total <= 0) return undefined;
    const target = q * total;
    const i = edges.findIndex(([, n]) => n >= target);
    const [top, above] = edges[i], [low, below] = i ? edges[i - 1] : [0, 0];
    return top === Infinity ? low : low + (top - low) * (target - below) / Math.max(1, above - below);
  });
}

/** The mean of a gauge over its labels, each weighing as much as another gauge of the same labels says. */
export function weighted(reading, name, weightName, where) {
  const key = (s) => JSON.stringify(Object.entries(s.labels).sort());
  const weights = new Map(reading.samples.filter((s) => fits(s, weightName, where)).map((s) => [key(s), s.value]));
  let total = 0, weight = 0;
  for (const s of reading.samples.filter((x) => fits(x, name, where))) {
    total += s.value * (weights.get(key(s)) ?? 1);
    weight += weights.get(key(s)) ?? 1;
  }
  return weight ? total / weight : undefined;
}
