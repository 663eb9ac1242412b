// Value axes: one for each unit, with range and ticks.
import { indexAt } from './series.js';

const PAD = 0.06;
const LABEL_LENGTH_MAX = 16;

/** Axes of `series` over what lies between the offsets `from` and `to`. */
export function valueAxes(series, from, to, { log, line, height, labelLength }) {
  const axes = new Map();
  for (const one of series) {
    if (one.error || one.kind === 'other') continue;
    const key = axisKey(one);
    if (!axes.has(key)) {
      axes.set(key, { title: axisTitle(one), kind: one.kind, states: one.metadata.states, series: [], low: Infinity, high: -Infinity });
    }
    const axis = axes.get(key);
    axis.series.push(one);
    extend(axis, one, from, to, log, line);
  }
  return [...axes.values()].map((axis) => finish(axis, log, height, Math.min(labelLength, LABEL_LENGTH_MAX)));
}

function axisKey({ kind, name, metadata }) {
  if (kind === 'text') return `text ${name}`;
  if (kind === 'enum') return `enum ${JSON.stringify(metadata.states ?? name)}`;
  return `number ${metadata.units ?? ''}`;
}

function axisTitle({ kind, metadata }) {
  if (kind === 'number') return metadata.units || 'no unit';
  return kind === 'enum' ? 'state' : 'text';
}

function extend(axis, series, from, to, log, line) {
  const { x, value, min, max, last } = series, bins = series.mode === 'bins';
  const add = (number) => {
    if (!Number.isFinite(number) || (log && axis.kind === 'number' && number <= 0)) return;
    axis.low = Math.min(axis.low, number);
    axis.high = Math.max(axis.high, number);
  };
  for (let i = Math.max(0, indexAt(series, from)); i < x.length && x[i] < to; i += 1) {
    add(bins && (line === 'last' || axis.kind !== 'number') ? last[i] : value[i]);
    if (bins) {
      add(min[i]);
      add(max[i]);
    }
  }
}

function finish(axis, log, height, labelLength) {
  const count = Math.max(2, Math.floor(height / 38));
  if (axis.kind !== 'number') return labelled(axis, count, labelLength);
  axis.log = log;
  if (axis.low > axis.high) [axis.low, axis.high] = log ? [1, 10] : [0, 1];
  let [low, high] = log ? [Math.log10(axis.low), Math.log10(axis.high)] : [axis.low, axis.high];
  if (high - low <= Math.abs(high) * 1e-12) {
    const half = log ? 0.5 : Math.abs(high) * 0.05 || 1;
    [low, high] = [low - half, high + half];
  }
  const pad = (high - low) * PAD;
  Object.assign(axis, { low: low - pad, high: high + pad });
  axis.ticks = log ? logTicks(axis, count) : linearTicks(axis, count);
  axis.place = log ? (value) => (value > 0 ? (Math.log10(value) - axis.low) / (axis.high - axis.low) : NaN)
    : (value) => (value - axis.low) / (axis.high - axis.low);
  return axis;
}

/** States of enums and texts, one a tick. */
function labelled(axis, count, length) {
  const labels = axis.kind === 'text' ? [...axis.series[0].texts.keys()] : axis.states ?? [];
  if (axis.low > axis.high) [axis.low, axis.high] = [0, Math.max(0, Math.min(labels.length, count) - 1)];
  const [first, last] = [axis.low, axis.high];
  const step = Math.ceil((last - first + 1) / count);
  axis.ticks = [];
  for (let value = Math.ceil(first); value <= last; value += step) {
    const label = labels[value] ?? String(value);
    axis.ticks.push({ value, label: label.length > length ? `${label.slice(0, length - 1)}…` : label });
  }
  Object.assign(axis, { low: first - 0.5, high: last + 0.5 });
  axis.place = (value) => (value - axis.low) / (axis.high - axis.low);
  return axis;
}

function linearTicks({ low, high }, count) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((digit) => digit * power >= rough * 0.999) * power;
  const largest = Math.max(Math.abs(low), Math.abs(high)), digit = Math.floor(Math.log10(step) + 1e-9);
  const exponent = largest >= 1e6 || largest < 1e-3 ? Math.floor(Math.log10(largest)) : 0;
  const label = exponent ? (value) => `${(value / 10 ** exponent).toFixed(Math.max(0, exponent - digit))}e${exponent}`
    : (value) => value.toFixed(Math.max(0, -digit));
  const ticks = [];
  for (let n = Math.ceil(low / step); n * step <= high && ticks.length < 100; n += 1) {
    ticks.push({ value: n * step, label: n === 0 ? '0' : label(n * step) });
  }
  return ticks;
}

function logTicks({ low, high }, count) {
  const decades = high - low, ticks = [];
  if (decades < 1) {
    const [from, to] = [10 ** low, 10 ** high];
    return linearTicks({ low: from, high: to }, count).filter(({ value }) => value > 0);
  }
  const digits = decades < count / 3 ? [1, 2, 5] : [1], step = Math.ceil(decades / count);
  for (let power = Math.floor(low); power <= high; power += step) {
    for (const digit of digits) {
      const value = digit * 10 ** power, at = Math.log10(value);
      if (at < low || at > high) continue;
      const label = power < -3 || power > 5 ? `${digit}e${power}` : String(Number(value.toPrecision(3)));
      ticks.push({ value, label });
    }
  }
  return ticks;
}
