// Lists channels whose names match what is typed.
import { askJson } from './api.js';
import { showTime } from './times.js';

const PAGE = 100;
const TYPING_MS = 150;
const byId = (id) => document.getElementById(id);

/** `isChosen(name)`, `toggle(name)`, `zone()`; returns `{refresh}`, which marks what is chosen. */
export function searchPanel({ isChosen, toggle, zone }) {
  const [input, state, list, found, more] = ['match', 'state', 'channels', 'found', 'more'].map(byId);
  let timer, asked, after, rows = [];

  async function ask(next) {
    asked?.abort();
    const own = asked = new AbortController();
    const text = input.value.trim(), match = !text ? '*' : /[*?]/.test(text) ? text : `*${text}*`;
    try {
      const answer = await askJson('api/v1/channels', { match, state: state.value, limit: PAGE, after: next }, own.signal);
      rows = next ? rows.concat(answer.channels) : answer.channels;
      after = answer.next;
      found.textContent = rows.length ? `${rows.length}${after ? ' or more' : ''} channel${rows.length > 1 ? 's' : ''}` : 'No channel matches; capitals matter.';
    } catch (error) {
      if (error.name === 'AbortError') return;
      [rows, after] = [[], null];
      found.textContent = error.message;
    }
    show();
  }

  /** Time of day if the last sample is less than a day old, else its date. */
  function lastTime({ last_ns: last }) {
    if (!last) return 'no sample yet';
    const [date, time] = showTime(BigInt(last), zone()).split(' ');
    return Date.now() - Number(BigInt(last) / 1_000_000n) < 86_400_000 ? time : date;
  }

  function show() {
    const focused = document.activeElement?.dataset?.name;
    list.replaceChildren(...rows.map((row) => {
      const item = document.createElement('li'), button = document.createElement('button'), small = document.createElement('small');
      button.type = 'button';
      button.dataset.name = row.name;
      button.setAttribute('aria-pressed', isChosen(row.name));
      button.title = row.reason ?? '';
      button.onclick = () => toggle(row.name);
      small.textContent = `${row.type ?? 'no type yet'} · ${row.state.replace('_', ' ')} · ${lastTime(row)}`;
      button.append(row.name, small);
      item.append(button);
      return item;
    }));
    more.hidden = !after;
    if (focused) [...list.querySelectorAll('button')].find(({ dataset }) => dataset.name === focused)?.focus();
  }

  input.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(ask, TYPING_MS);
  });
  input.addEventListener('keydown', ({ key }) => key === 'Enter' && list.querySelector('button')?.click());
  state.addEventListener('change', () => ask());
  more.addEventListener('click', () => ask(after));
  ask();
  return { refresh: show };
}
