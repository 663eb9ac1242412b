// Joins the parts of the page: link, controls, plot, live tail.
import { address, askJson } from './api.js';
import { listen } from './gestures.js';
import { legend, showKey } from './legend.js';
import { depth, follow as pushLink, goBack, readLink } from './link.js';
import { COLOURS, Plot } from './plot.js';
import { searchPanel } from './search.js';
import { appendLive, leaveGapsOpen, load } from './series.js';
import { statusPanel } from './status.js';
import { canFollow, followChannels } from './tail.js';
import { isZone, MS, ownZone, rfc3339, SECOND } from './times.js';

const PRESETS = { '1 h': '-1h', '8 h': '-8h', '1 d': '-1d', '1 w': '-1w', '1 y': '-365d' };
/** A wheel or a drag has ended when nothing moved for so long; then the server is asked. */
const SETTLED_MS = 200;
const POLL_MS = 1000;
const FRAME_MS = 250;
/** While following, bins and gaps are asked for anew so often. */
const RENEW_MS = 60_000;
const RECENT_MAX = 5000;
/** Following begins so much earlier than now, so that it overlaps with what was loaded. */
const OVERLAP = 5n * SECOND;

const byId = (id) => document.getElementById(id);
const plot = new Plot(byId('plot'));
let link = readLink();
let shown = null;
let asked, settling, live = null;
const colours = new Map();
const clock = { ns: BigInt(Date.now()) * MS, at: performance.now() };

const serverNow = () => clock.ns + BigInt(Math.round((performance.now() - clock.at) * 1e6));

/** Goes to another link, as a step that Back undoes. */
function go(changes) {
  link = { ...link, ...changes };
  pushLink(link);
  apply();
}

function apply() {
  clearTimeout(settling);
  for (const name of ['from', 'to', 'line']) byId(name).value = link[name];
  for (const name of ['log', 'live']) byId(name).checked = link[name];
  chooseZone(link.tz);
  byId('back').disabled = !depth();
  for (const button of byId('presets').children) {
    button.setAttribute('aria-pressed', link.to === 'now' && PRESETS[button.textContent] === link.from);
  }
  for (const name of colours.keys()) if (!link.channels.includes(name)) colours.delete(name);
  for (const name of link.channels) {
    const taken = new Set(colours.values());
    if (!colours.has(name)) colours.set(name, [...Array(COLOURS).keys()].find((one) => !taken.has(one)) ?? colours.size % COLOURS);
  }
  document.title = link.channels.length ? `${link.channels.join(', ').slice(0, 80)} · Varve` : 'Varve';
  search.refresh();
  stopLive();
  refresh();
  if (link.live && link.channels.length) startLive();
}

function tell(error) {
  byId('error').hidden = !error;
  byId('error').textContent = error?.message ?? '';
  for (const name of ['from', 'to']) byId(name).setAttribute('aria-invalid', error?.parameter === name);
}

/** Asks for what the link says; a newer question aborts an older one. */
async function refresh({ quiet = false } = {}) {
  asked?.abort();
  const own = asked = new AbortController();
  const { channels, from, to, tz } = link;
  if (!channels.length) {
    tell(null);
    accept({ from: 0n, to: 0n, series: [], problems: [] });
    return;
  }
  const busy = setTimeout(() => { byId('busy').hidden = quiet; }, 150);
  try {
    const early = quiet ? undefined : (answer) => own === asked && accept(answer);
    const answer = await load(channels, { from, to, tz }, plot.width, own.signal, early);
    if (own !== asked) return;
    tell(answer.problems.length ? { message: answer.problems.map(({ channel, message }) => `${channel ? `${channel}: ` : ''}${message}`).join(' · ') } : null);
    accept(answer);
    await findLasts(answer, own.signal);
  } catch (error) {
    if (error.name !== 'AbortError' && own === asked) tell(error);
  } finally {
    clearTimeout(busy);
    if (own === asked) byId('busy').hidden = true;
  }
}

function accept(answer) {
  shown = answer;
  for (const series of answer.series) series.colour = colours.get(series.name) ?? 0;
  if (live?.stop && answer.to) leaveGapsOpen(answer);
  if (live) for (const sample of live.recent) hearSample(sample);
  const { from, to, series } = answer, known = series.length && from !== null;
  const message = series.length ? 'None of these channels can be shown; the table says why.' : '';
  plot.show({
    base: from ?? 0n, from: from ?? 0n, to: to ?? 0n, loadedTo: to ?? 0n, series: known ? series : [],
    zone: link.tz, line: link.line, log: link.log, message,
  });
  table.build(series);
  table.update(plot.now, plot.area ? plot.digits : 0);
  showKey(series, (name) => `var(--${name})`);
  showExport();
}

/** Where a channel has nothing in the range, the table offers its last sample. */
async function findLasts({ series }, signal) {
  const empty = series.filter((one) => !one.error && !one.x.length && one.kind !== 'other');
  if (!empty.length || link.live) return;
  const facts = await Promise.all(empty.map(({ name }) => askJson('api/v1/channel', { channel: name }, signal)));
  empty.forEach((one, i) => { one.lastSample = facts[i].last_ns ?? null; });
  table.build(series);
  table.update(plot.now, plot.area ? plot.digits : 0);
}

function goToLast(name) {
  const last = BigInt(shown.series.find((one) => one.name === name).lastSample), span = shown.to - shown.from;
  go({ from: rfc3339(last - (span * 9n) / 10n), to: rfc3339(last + span / 10n), live: false });
}

async function showAll() {
  try {
    const answers = await Promise.allSettled(link.channels.map((channel) => askJson('api/v1/channel', { channel })));
    const facts = answers.filter(({ value }) => value?.first_ns).map(({ value }) => value);
    if (!facts.length) throw answers.find(({ reason }) => reason)?.reason ?? new Error('No chosen channel has samples.');
    const [first, last] = [facts.map((one) => BigInt(one.first_ns)), facts.map((one) => BigInt(one.last_ns))];
    const from = first.reduce((a, b) => (a < b ? a : b)), to = last.reduce((a, b) => (a > b ? a : b)) + 1n;
    go({ from: rfc3339(from), to: rfc3339(to), live: false });
  } catch (error) {
    tell(error);
  }
}

function showExport() {
  const known = shown.series.filter(({ error }) => !error), paragraph = byId('export');
  paragraph.hidden = !known.length;
  if (!known.length) return;
  const range = { channel: known.map(({ name }) => name), from_ns: shown.from, to_ns: shown.to };
  const anchor = (text, path, parameters, name) => Object.assign(document.createElement('a'), {
    textContent: text, href: address(path, parameters), ...(name && { download: name }),
  });
  const bins = { ...range, bins: plot.width };
  paragraph.replaceChildren(
    'Bins: ', anchor('CSV', 'api/v1/bins', { ...bins, format: 'csv' }, 'bins.csv'), anchor('JSON', 'api/v1/bins', { ...bins, format: 'json' }, 'bins.json'),
    ' Samples: ', anchor('CSV', 'api/v1/samples', { ...range, format: 'csv' }, 'samples.csv'), anchor('JSON', 'api/v1/samples', { ...range, format: 'json' }, 'samples.json'),
    ' API: ', anchor(address('api/v1/bins', bins), 'api/v1/bins', bins),
  );
}

/** The plot moves at once, the server is asked when the movement has settled. */
function moveTo(from, to, settled) {
  stopLive();
  plot.show({ from, to });
  clearTimeout(settling);
  // Rounded to less than a pixel: links stay short.
  const unit = 10n ** BigInt(Math.max(0, Math.floor(Math.log10(Number(to - from) / 5000))));
  const settle = () => go({ from: rfc3339(from - (from % unit)), to: rfc3339(to - (to % unit)), live: false });
  if (settled) settle();
  else settling = setTimeout(settle, SETTLED_MS);
}

async function startLive() {
  const own = live = { recent: [], timer: 0, stop: null };
  const follows = await canFollow();
  if (live !== own) return;
  if (!follows) {
    own.timer = setInterval(() => byId('busy').hidden && !own.asking && poll(own), POLL_MS);
    return;
  }
  own.stop = followChannels(link.channels, serverNow() - OVERLAP, (kind, data) => {
    if (kind !== 'sample') {
      own.renew = 0;
      return;
    }
    own.recent.push(data);
    if (own.recent.length > RECENT_MAX) own.recent.splice(0, RECENT_MAX / 2);
    hearSample(data);
  });
  own.renew = performance.now() + RENEW_MS;
  own.timer = setInterval(() => {
    if (!shown?.to) return;
    const to = serverNow(), from = to - (shown.to - shown.from);
    plot.show({ from, to, loadedTo: to });
    table.update(plot.now, plot.digits);
    if (performance.now() > own.renew && !own.asking) {
      own.renew = performance.now() + RENEW_MS;
      poll(own);
    }
  }, FRAME_MS);
}

async function poll(own) {
  own.asking = true;
  await refresh({ quiet: true });
  own.asking = false;
}

function stopLive() {
  live?.stop?.();
  clearInterval(live?.timer);
  live = null;
}

function hearSample({ name, time_ns: time, value, severity }) {
  const series = shown?.series.find((one) => one.name === name && !one.error);
  if (!series) return;
  if (series.kind === 'other' || series.mode === 'none') series.count += 1;
  else appendLive(series, BigInt(time), value, severity);
}

function chooseZone(zone) {
  const select = byId('zone');
  if (![...select.options].some(({ value }) => value === zone)) select.add(new Option(zone, zone));
  select.value = zone;
}

function fillControls() {
  const own = ownZone(), select = byId('zone');
  const zones = [...new Set(['UTC', ...(Intl.supportedValuesOf?.('timeZone') ?? [])])].filter((zone) => zone !== own && isZone(zone));
  select.add(new Option(own === 'UTC' ? 'UTC' : `${own} (browser)`, own));
  for (const zone of zones) select.add(new Option(zone, zone));
  for (const [name, from] of Object.entries(PRESETS)) {
    const button = Object.assign(document.createElement('button'), { type: 'button', textContent: name });
    button.onclick = () => go({ from, to: 'now' });
    byId('presets').append(button);
  }
  const all = Object.assign(document.createElement('button'), { type: 'button', textContent: 'all', onclick: showAll });
  all.title = 'From the first to the last sample of the chosen channels (Home)';
  byId('presets').append(all);
  select.onchange = () => go({ tz: select.value });
  byId('line').onchange = ({ target }) => go({ line: target.value });
  byId('log').onchange = ({ target }) => go({ log: target.checked });
  byId('live').onchange = ({ target }) => {
    const span = shown?.to > shown?.from ? shown.to - shown.from : 0n;
    const from = span ? `-${span}ns` : '-1h';
    const relative = link.to === 'now' && link.from.startsWith('-');
    go(target.checked && !relative ? { live: true, from, to: 'now' } : { live: target.checked });
  };
  byId('range').onsubmit = (event) => {
    event.preventDefault();
    const [from, to] = ['from', 'to'].map((name) => byId(name).value.trim());
    const same = from === link.from && to === link.to;
    if (same) apply();
    else go({ from: from || '-1h', to: to || 'now', live: link.live && to === 'now' });
  };
  byId('back').onclick = goBack;
  byId('in').onclick = () => gestures.zoom(0.5);
  byId('out').onclick = () => gestures.zoom(2);
}

function toggle(name) {
  const { channels } = link;
  go({ channels: channels.includes(name) ? channels.filter((one) => one !== name) : [...channels, name] });
}

const table = legend({
  remove: toggle,
  replace: (name, by) => go({ channels: [...new Set(link.channels.map((one) => (one === name ? by : one)))] }),
  goToLast,
});
const gestures = listen(plot, {
  range: moveTo,
  cursor: (cursor) => {
    plot.show({ cursor });
    if (shown?.series.length && plot.area) table.update(plot.now, plot.digits);
  },
  all: showAll,
  back: goBack,
});
const search = searchPanel({ isChosen: (name) => link.channels.includes(name), toggle, zone: () => link.tz });
statusPanel({
  zone: () => link.tz,
  heard: (ns) => Object.assign(clock, { ns, at: performance.now() }),
});
fillControls();
window.addEventListener('popstate', () => {
  link = readLink();
  apply();
});
new ResizeObserver(() => plot.show({})).observe(byId('plot'));
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => plot.show({}));
if (matchMedia('(max-width: 700px)').matches && link.channels.length) byId('find').open = false;
apply();
