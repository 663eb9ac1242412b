// Keeps what is shown in the URL's hash, so that a link reproduces the plot.
import { escape } from './api.js';
import { isZone, ownZone } from './times.js';

/** What a link without a hash shows. */
const START = () => ({ channels: [], from: '-1h', to: 'now', tz: ownZone(), line: 'mean', log: false, live: false });

export function readLink() {
  const link = START(), seen = new Set();
  for (const pair of location.hash.slice(1).split('&')) {
    const cut = pair.indexOf('=');
    const name = pair.slice(0, cut);
    let value;
    try {
      value = decodeURIComponent(pair.slice(cut + 1));
    } catch {
      value = pair.slice(cut + 1);
    }
    if (name === 'channel' && value) seen.add(value);
    if ((name === 'from' || name === 'to') && value) link[name] = value;
    if (name === 'tz' && isZone(value)) link.tz = value;
    if (name === 'line') link.line = value === 'last' ? 'last' : 'mean';
    if (name === 'log' || name === 'live') link[name] = value === '1';
  }
  link.channels = [...seen];
  return link;
}

function writeLink({ channels, from, to, tz, line, log, live }) {
  const pairs = [...channels.map((name) => ['channel', name]), ['from', from], ['to', to], ['tz', tz]];
  if (line !== 'mean') pairs.push(['line', line]);
  if (log) pairs.push(['log', '1']);
  if (live) pairs.push(['live', '1']);
  return `#${pairs.map(([name, value]) => `${name}=${escape(value)}`).join('&')}`;
}

/** How many steps `goBack` can take inside this page. */
export const depth = () => history.state?.depth ?? 0;

export function follow(link) {
  const hash = writeLink(link);
  if (hash === location.hash) return;
  history.pushState({ depth: depth() + 1 }, '', hash);
}

export const goBack = () => depth() > 0 && history.back();
