// The table of chosen channels: what each had at the cursor, or what ails it.
import { SEVERITIES, valueAt } from './plot.js';
import { OPEN, showValue } from './series.js';
import { showDuration, showTime } from './times.js';

const byId = (id) => document.getElementById(id);

function element(tag, text, properties = {}) {
  return Object.assign(document.createElement(tag), { textContent: text, ...properties });
}

const offersLast = (one) => !one.error && !one.x.length && Boolean(one.lastSample);

/** `remove(name)`, `replace(name, by)`, `goToLast(name)`: what the buttons do. */
export function legend({ remove, replace, goToLast }) {
  const body = document.querySelector('#legend tbody');
  let cells = [], built = '';

  /** Rows for these series; new ones only where something in them changed, so that the focus stays. */
  function build(series) {
    const content = JSON.stringify(series.map((one) => [one.name, one.colour, one.error?.message, one.metadata.description, offersLast(one)]));
    if (content === built) {
      series.forEach((one, i) => { cells[i].one = one; });
      return;
    }
    built = content;
    cells = series.map((one) => {
      const row = document.createElement('tr');
      const [mark, name, value, range, alarm, mode, end] = Array.from({ length: 7 }, () => row.appendChild(document.createElement('td')));
      const swatch = mark.appendChild(document.createElement('i'));
      swatch.style.background = `var(--c${one.colour})`;
      name.append(one.name);
      if (one.metadata.description) name.title = one.metadata.description;
      end.append(element('button', '×', { type: 'button', title: `Remove ${one.name}`, ariaLabel: `Remove ${one.name}`, onclick: () => remove(one.name) }));
      if (one.error) {
        value.colSpan = 4;
        for (const cell of [range, alarm, mode]) cell.remove();
        value.append(element('span', one.error.message, { className: 'bad' }));
        for (const near of one.error.near ?? []) {
          value.append(' ', element('button', near, { type: 'button', title: `Take ${near} instead`, onclick: () => replace(one.name, near) }));
        }
      } else if (offersLast(one)) {
        name.append(' ', element('button', 'go to its last sample', { type: 'button', onclick: () => goToLast(one.name) }));
      }
      return { one, value, range, alarm, mode };
    });
    body.replaceChildren(...cells.map(({ value }) => value.parentElement));
    byId('legend').hidden = !series.length;
  }

  /** Values at `now.cursor`, else the newest in the range. */
  function update(now, digits) {
    const { base, zone, line } = now, cursor = now.cursor ?? now.to - 1n, offset = Number(cursor - base);
    byId('when').textContent = now.cursor === null ? 'newest' : `at ${showTime(now.cursor, zone, digits)}`;
    for (const { one, value, range, alarm, mode } of cells) {
      if (one.error) continue;
      const found = valueAt(one, offset, line), { i, gap } = found ?? {};
      const units = one.kind === 'number' && one.metadata.units ? ` ${one.metadata.units}` : '';
      if (one.kind === 'other' && !gap) value.textContent = `${one.type}: not drawn`;
      else if (found && i !== undefined) value.textContent = showValue(one, found.value, found.exact) + units;
      else value.textContent = gap ? gap.state.replace('_', ' ') : one.count && one.kind === 'text' && one.mode === 'bins' ? 'zoom in to see texts' : '–';
      if (gap) {
        const at = (x) => (x === OPEN ? 'now' : showTime(base + BigInt(Math.round(x)), zone).slice(5));
        range.textContent = `${i === undefined ? '' : `${gap.state.replace('_', ' ')} `}${at(gap.from)} – ${at(gap.to)}`;
      } else if (one.mode === 'bins' && i !== undefined && one.counts[i] && Number.isFinite(one.min[i])) {
        range.textContent = `${showValue(one, one.min[i])} … ${showValue(one, one.max[i])} (${one.counts[i]})`;
      } else range.textContent = '';
      const severity = i === undefined ? 0 : found.severity;
      alarm.textContent = severity ? SEVERITIES[severity] : '';
      alarm.style.color = severity ? `var(--${SEVERITIES[severity]})` : '';
      const width = one.width.at(-1);
      mode.textContent = !one.count ? 'no samples here' : one.mode === 'samples' ? `${one.count} samples`
        : `bins of ${showDuration(BigInt(width ?? 0))}`;
    }
  }
  return { build, update };
}

/** What the colours of bands and marks in sight mean. */
export function showKey(series, colourOf) {
  const states = new Set(series.flatMap(({ gaps }) => gaps.map(({ state }) => state)));
  const worst = new Set(series.flatMap(({ severity }) => [...new Set(severity)]).filter(Boolean).map((code) => SEVERITIES[code]));
  byId('key').replaceChildren(...[...worst, ...states].map((name) => {
    const item = element('span', ''), swatch = item.appendChild(document.createElement('i'));
    swatch.style.background = colourOf(name);
    item.append(name === name.toUpperCase() ? name : name.replace('_', ' '));
    return item;
  }));
}
