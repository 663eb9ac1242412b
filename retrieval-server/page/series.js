// Loads what the plot shows of each channel: bins, or samples where they are few, with gaps.
import { ApiError, askColumns, askJson } from './api.js';
import { isPlottable, isText, strings } from './columns.js';

/** A channel with at most so many samples for each bin asked for is drawn from its samples. */
const SAMPLES_PER_BIN = 2;
/** Samples are asked for with this many more, should some have arrived since they were counted. */
const SAMPLES_SPARE = 1000;
const STATS = 'count,mean,min,max,last,twmean,severity';

/**
 * One channel in one range. Times are nanoseconds since `base` (the range's start) as doubles:
 * `x` of samples and starts of bins, `width` of bins. `kind`: number, enum, text, or other (not drawn).
 */
function emptySeries(name, base) {
  return {
    name, base, kind: 'number', type: null, metadata: {}, mode: 'none', count: 0, gaps: [],
    x: [], width: [], value: [], min: [], max: [], last: [], counts: [], severity: [], exact: [], texts: new Map(),
  };
}

/**
 * Loads `{from, to, series, problems}`; `range` is `{from, to, tz}` in the words of the API.
 * `early` gets the same with bins only, before samples and gaps are there.
 */
export async function load(channels, range, bins, signal, early) {
  const answer = await binsOf(channels, range, bins, signal);
  const { from, to, series } = answer;
  const known = series.filter((one) => !one.error);
  if (!known.length) return answer;
  const few = known.filter((one) => one.count <= SAMPLES_PER_BIN * bins && one.kind !== 'other');
  early?.(answer);
  const exact = { from_ns: from, to_ns: to };
  const [coverage, samples] = await Promise.all([
    askJson('api/v1/coverage', { channel: known.map(({ name }) => name), ...exact }, signal),
    few.length && from < to && askColumns('api/v1/samples', {
      channel: few.map(({ name }) => name), ...exact, edge: true, damaged: 'skip', limit: SAMPLES_PER_BIN * bins + SAMPLES_SPARE,
    }, signal),
  ]);
  const byName = new Map(known.map((one) => [one.name, one]));
  for (const { name, intervals } of coverage.channels) {
    byName.get(name).gaps = (intervals ?? []).filter(({ state }) => state !== 'held').map((gap) => ({
      from: Number(BigInt(gap.from_ns) - from), to: Number(BigInt(gap.to_ns) - from), state: gap.state,
    }));
  }
  if (samples) {
    for (const one of few) toSamples(one);
    for (const block of samples.blocks) addSamples(byName.get(samples.end.channels[block.channel].name), block);
    answer.problems.push(...samples.end.problems);
  }
  const told = new Set();
  answer.problems = [...answer.problems, ...coverage.problems].filter(({ channel, message }) => {
    const key = `${channel} ${message}`;
    return !told.has(key) && told.add(key);
  });
  return answer;
}

async function binsOf(channels, range, bins, signal) {
  let answer;
  try {
    answer = await askColumns('api/v1/bins', { channel: channels, ...range, bins, stats: STATS, fill: 'hold', damaged: 'skip' }, signal);
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== 'unknown_channel') throw error;
    // Alone, an unknown channel fails the request; here it is told as it is among others.
    return { from: null, to: null, problems: [], series: channels.map((name) => ({ ...emptySeries(name, 0n), error })) };
  }
  const from = BigInt(answer.end.from_ns), to = BigInt(answer.end.to_ns);
  const series = answer.end.channels.map(({ name, error }) => ({
    ...emptySeries(name, from), error, mode: 'bins', liveFrom: Number(to - from),
  }));
  for (const block of answer.blocks) addBins(series[block.channel], block);
  return { from, to, series, problems: answer.end.problems };
}

function addBins(series, block) {
  describe(series, block.about);
  const { base } = series;
  for (let i = 0; i < block.count; i += 1) {
    const held = block.twmean[i], some = Number(block.counts[i]);
    series.count += some;
    series.x.push(Number(block.start_ns[i] - base));
    series.width.push(Number(block.width_ns[i]));
    series.value.push(Number.isNaN(block.mean[i]) ? held : block.mean[i]);
    series.last.push(Number.isNaN(block.last[i]) ? held : block.last[i]);
    series.min.push(block.min[i]);
    series.max.push(block.max[i]);
    series.counts.push(some);
    series.severity.push(block.severity[i]);
  }
}

function describe(series, { type, metadata }) {
  series.type = type ?? series.type;
  series.metadata = metadata ?? series.metadata;
  if (!type) return;
  series.kind = type.endsWith('[]') || type === 'structure' ? 'other'
    : type === 'string' ? 'text' : type === 'enum' ? 'enum' : 'number';
}

function toSamples(series) {
  series.mode = 'samples';
  for (const column of ['x', 'width', 'value', 'min', 'max', 'last', 'counts', 'severity']) series[column] = [];
}

function addSamples(series, block) {
  if (!block.count) return;
  if (!block.edge?.[0]) describe(series, block.about);
  else if (!series.type) describe(series, block.about);
  const texts = isText(block) && !block.isArray ? strings(block) : null;
  for (let i = 0; i < block.count; i += 1) {
    const value = texts ? texts[i] : isPlottable(block) ? block.value[i] : undefined;
    append(series, Number(block.time_ns[i] - series.base), value, block.severity[i]);
  }
}

/** Adds a sample behind the others; a text becomes the number of its place among the texts seen. */
export function append(series, x, value, severity) {
  let number = Number(value);
  if (series.kind === 'text') {
    const label = String(value);
    if (!series.texts.has(label)) series.texts.set(label, series.texts.size);
    number = series.texts.get(label);
  }
  if (typeof value === 'bigint' && !Number.isSafeInteger(number)) series.exact[series.x.length] = String(value);
  series.x.push(x);
  series.value.push(number);
  series.severity.push(severity);
}

/** Where a gap ends that nobody has heard the end of. */
export const OPEN = 1e18;

/** What is not held at the end of a range is taken to go on until a sample comes. */
export function leaveGapsOpen({ from, to, series }) {
  for (const { gaps } of series) if (gaps.at(-1)?.to >= Number(to - from)) gaps.at(-1).to = OPEN;
}

/** Adds a live sample: behind the samples, or into the last bin. */
export function appendLive(series, ns, value, severity) {
  const x = Number(ns - series.base);
  // Told twice: once in the answer, once live.
  if (series.mode === 'bins' ? x < series.liveFrom : x <= series.x.at(-1)) return;
  series.count += 1;
  const gap = series.gaps.at(-1);
  if (gap?.to === OPEN && x >= gap.from) gap.to = x;
  if (series.mode === 'samples') {
    append(series, x, value, severity);
    return;
  }
  const number = Number(value), last = series.x.length - 1;
  if (last < 0) return;
  const width = series.width[last];
  if (x >= series.x[last] + width) {
    const start = series.x[last] + Math.floor((x - series.x[last]) / width) * width;
    for (const [column, first] of [['x', start], ['width', width], ['value', number], ['min', number], ['max', number],
      ['last', number], ['counts', 1], ['severity', severity]]) series[column].push(first);
    return;
  }
  const n = (series.counts[last] += 1);
  series.severity[last] = Math.max(series.severity[last], severity);
  series.last[last] = number;
  if (!Number.isFinite(number)) return;
  series.value[last] += n === 1 ? number - series.value[last] : (number - series.value[last]) / n;
  series.min[last] = series.min[last] <= number ? series.min[last] : number;
  series.max[last] = series.max[last] >= number ? series.max[last] : number;
}

/** Index of the last sample or bin that begins at or before `x`, or -1. */
export function indexAt(series, x) {
  let low = 0, high = series.x.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (series.x[middle] <= x) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

export const gapAt = (series, x) => series.gaps.find((gap) => gap.from <= x && x < gap.to);

/** A value as text: label of an enum, text, or number with the channel's precision. */
export function showValue(series, value, exact) {
  if (value === undefined || value === null) return '–';
  if (series.kind === 'text') return [...series.texts.keys()][value] ?? '–';
  if (series.kind === 'enum' && Number.isInteger(value)) return series.metadata.states?.[value] ?? String(value);
  if (exact) return exact;
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '∞' : '−∞';
  const { precision } = series.metadata, size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e15) return String(value);
  if (precision >= 0 && precision <= 15 && size < 1e12 && size >= 1e-4) return value.toFixed(precision);
  return size >= 1e7 || size < 1e-4 ? value.toExponential(4) : String(Number(value.toPrecision(7)));
}
