// Shows nanoseconds since 1970 as clock times in a chosen zone.

export const MS = 1_000_000n;
export const SECOND = 1_000_000_000n;
const DAY_MS = 86_400_000;
/** Clocks change at quarters of an hour at the finest; one question to Intl for each. */
const QUARTER_MS = 900_000;

const formats = new Map();
const offsets = new Map();

export function isZone(zone) {
  try {
    return Boolean(zone && new Intl.DateTimeFormat('en', { timeZone: zone }));
  } catch {
    return false;
  }
}

export const ownZone = () => Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';

/** What must be added to UTC for local time, in ms. */
export function zoneOffset(ms, zone) {
  if (zone === 'UTC') return 0;
  const quarter = Math.floor(ms / QUARTER_MS), key = zone + quarter;
  if (!offsets.has(key)) {
    if (offsets.size > 20_000) offsets.clear();
    if (!formats.has(zone)) {
      formats.set(zone, new Intl.DateTimeFormat('en-u-ca-iso8601-nu-latn', {
        timeZone: zone, hourCycle: 'h23', era: 'short', year: 'numeric', month: 'numeric', day: 'numeric',
        hour: 'numeric', minute: 'numeric', second: 'numeric',
      }));
    }
    const at = quarter * QUARTER_MS;
    const part = Object.fromEntries(formats.get(zone).formatToParts(at).map(({ type, value }) => [type, value]));
    const local = Date.UTC(part.year, part.month - 1, part.day, part.hour, part.minute, part.second);
    offsets.set(key, local - at);
  }
  return offsets.get(key);
}

const floorMs = (ns) => Number((ns - (((ns % MS) + MS) % MS)) / MS);
const toLocal = (ms, zone) => ms + zoneOffset(ms, zone);

function fromLocal(local, zone) {
  const guess = local - zoneOffset(local, zone);
  return local - zoneOffset(guess, zone);
}

const pad = (number, digits) => String(number).padStart(digits, '0');

/** Date and time of day in the zone, with `digits` of the second's fraction. */
function parts(ns, zone, digits) {
  const ms = floorMs(ns), local = new Date(toLocal(ms, zone)).toISOString();
  const cut = local.indexOf('T');
  const fraction = pad(((ns % SECOND) + SECOND) % SECOND, 9).slice(0, digits);
  return { date: local.slice(0, cut), time: local.slice(cut + 1, cut + 9) + (digits ? `.${fraction}` : '') };
}

/** As many digits of a second as `resolution` nanoseconds deserve. */
export function digitsOf(resolution) {
  for (let digits = 0; digits < 9; digits += 1) if (resolution >= 10 ** (9 - digits)) return digits;
  return 9;
}

export function showTime(ns, zone, digits = 0) {
  const { date, time } = parts(ns, zone, digits);
  return `${date} ${time}`;
}

/** `UTC`, or the zone with what it is ahead of UTC at that time. */
export function showZone(zone, ns) {
  if (zone === 'UTC') return 'UTC';
  const minutes = Math.round(zoneOffset(floorMs(ns), zone) / 60_000), size = Math.abs(minutes);
  return `${zone} (UTC${minutes < 0 ? '−' : '+'}${pad(Math.floor(size / 60), 2)}:${pad(size % 60, 2)})`;
}

/** RFC 3339 in UTC, exact, without trailing zeros. */
export function rfc3339(ns) {
  const { date, time } = parts(ns, 'UTC', 9);
  return `${date}T${time.replace(/\.?0+$/, '')}Z`;
}

const UNITS = [[86_400_000_000_000n, 'd'], [3_600_000_000_000n, 'h'], [60n * SECOND, 'min'], [SECOND, 's'], [MS, 'ms'], [1000n, 'µs'], [1n, 'ns']];

/** A duration in its two largest units. */
export function showDuration(ns) {
  if (ns < 0n) return `−${showDuration(-ns)}`;
  const first = UNITS.findIndex(([size]) => ns >= size);
  if (first < 0) return '0 s';
  const [size, name] = UNITS[first], rest = ns % size, next = UNITS[first + 1];
  const more = next && first < 4 && rest >= next[0] ? ` ${rest / next[0]} ${next[1]}` : '';
  return `${ns / size} ${name}${more}`;
}

const STEPS = [
  ...[0, 1, 2, 3, 4, 5, 6, 7, 8].flatMap((power) => [1, 2, 5].map((digit) => digit * 10 ** power)),
  ...[1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200].map((s) => s * 1e9),
];
const DAYS = [1, 2, 7, 14];
const MONTHS = [1, 3, 6, 12, 24, 60, 120, 240, 600, 1200];

/** Marks of a time axis: `{ns, label, date}`; `date` where the coarser part of the time changes. */
export function timeTicks(from, to, zone, countMax) {
  const least = Number(to - from) / Math.max(1, countMax);
  const step = STEPS.find((candidate) => candidate >= least);
  if (step && step < 1e9) return fineTicks(from, to, zone, BigInt(step));
  if (step) return steppedTicks(from, to, zone, step / 1e6);
  const days = DAYS.find((count) => count * DAY_MS * 1e6 >= least);
  return days ? steppedTicks(from, to, zone, days * DAY_MS) : monthTicks(from, to, zone, least);
}

function fineTicks(from, to, zone, step) {
  const ticks = [];
  const digits = 10 - String(step).length;
  for (let ns = ((from + step - 1n) / step) * step; ns < to; ns += step) {
    const { date, time } = parts(ns, zone, digits);
    ticks.push({ ns, label: time.slice(6), date: `${date} ${time.slice(0, 5)}` });
  }
  return withChanges(ticks);
}

function steppedTicks(from, to, zone, stepMs) {
  const ticks = [];
  // Weeks begin on Mondays.
  const origin = stepMs % (7 * DAY_MS) === 0 ? -3 * DAY_MS : 0;
  let local = Math.floor((toLocal(floorMs(from), zone) - origin) / stepMs) * stepMs + origin;
  for (let last = from - 1n; ; local += stepMs) {
    const ns = BigInt(fromLocal(local, zone)) * MS;
    if (ns >= to) return withChanges(ticks);
    if (ns <= last) continue;
    last = ns;
    const { date, time } = parts(ns, zone, 0);
    const label = stepMs >= DAY_MS ? date.slice(-5) : time.slice(0, stepMs % 60_000 ? 8 : 5);
    ticks.push({ ns, label, date: stepMs >= DAY_MS ? date.slice(0, -6) : date });
  }
}

function monthTicks(from, to, zone, least) {
  const months = MONTHS.find((count) => count * 30.4 * DAY_MS * 1e6 >= least) ?? MONTHS.at(-1);
  const ticks = [], start = new Date(toLocal(floorMs(from), zone));
  let month = Math.floor((start.getUTCFullYear() * 12 + start.getUTCMonth()) / months) * months;
  for (; ; month += months) {
    const ns = BigInt(fromLocal(Date.UTC(Math.floor(month / 12), month % 12), zone)) * MS;
    if (ns >= to) return withChanges(ticks);
    const { date } = parts(ns, zone, 0);
    if (ns >= from) ticks.push({ ns, label: months < 12 ? date.slice(0, -3) : date.slice(0, -6), date: '' });
  }
}

function withChanges(ticks) {
  let shown = '';
  for (const tick of ticks) {
    if (tick.date === shown) tick.date = '';
    else shown = tick.date;
  }
  return ticks;
}
