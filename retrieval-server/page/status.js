// Shows how the server is doing.
import { askJson } from './api.js';
import { showDuration, showTime } from './times.js';

const PERIOD_MS = 10_000;
/** A durable lag above this is worth a warning. */
const LAG_WARNING_NS = 10_000_000_000n;
const byId = (id) => document.getElementById(id);

function bytes(size) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'], power = size > 0 ? Math.min(5, Math.floor(Math.log2(size) / 10)) : 0;
  return `${(size / 1024 ** power).toFixed(power ? 1 : 0)} ${units[power]}`;
}

/** Asks again and again; `heard(now_ns)` gets the server's clock. */
export function statusPanel({ zone, heard }) {
  let lost = null;

  function show(status) {
    const { channels = {}, disk, archives, archive, now_ns: now, durable_until_ns: durable, ingest } = status;
    const lag = durable === null || durable === undefined ? null : BigInt(now) - BigInt(durable);
    const problems = status.problems ?? [];
    byId('archive').textContent = (archives ?? [archive]).map((one) => one?.name ?? one?.path ?? '').join(', ');
    const verdict = !status.ready ? ['bad', `● not ready: ${status.reasons.join('; ')}`]
      : problems.length ? ['warning', `▲ ${problems.length} problem${problems.length > 1 ? 's' : ''}`] : ['ok', '● ready'];
    tell(...verdict);
    const states = Object.entries(channels).filter(([name, count]) => name !== 'total' && count)
      .map(([name, count]) => `${count} ${name.replace('_', ' ')}`);
    const facts = {
      Clock: showTime(BigInt(now), zone()),
      'Durable lag': lag === null ? 'no engine asked' : `${showDuration(lag)}${lag > LAG_WARNING_NS ? ' — long' : ''}`,
      Channels: `${channels.total ?? 0}: ${states.join(', ') || 'none'}`,
      Ingest: ingest && `${ingest.samples_per_s.toFixed(0)} samples/s, ${bytes(ingest.bytes_per_s)}/s`,
      Dropped: ingest && (Object.entries(ingest.dropped).filter(([, count]) => count).map(([cause, count]) => `${count} ${cause}`).join(', ') || 'nothing'),
      Disk: disk && `${bytes(disk.free)} free of ${bytes(disk.total)}${disk.days_left ? `, ${Math.floor(disk.days_left)} days left` : ''}`,
      Archives: archives && `${archives.length}`,
      Version: status.version,
    };
    byId('facts').replaceChildren(...Object.entries(facts).filter(([, fact]) => fact).flatMap(([name, fact]) => {
      const [dt, dd] = [document.createElement('dt'), document.createElement('dd')];
      [dt.textContent, dd.textContent] = [name, fact];
      return [dt, dd];
    }));
    byId('problems').replaceChildren(...problems.map(({ severity, message, what_to_do: advice, since_ns: since }) => {
      const item = document.createElement('li');
      item.className = severity === 'warning' ? 'warning-line' : 'bad';
      item.textContent = `${message}. To do: ${advice}.`;
      if (since) item.title = `since ${showTime(BigInt(since), zone())}`;
      return item;
    }));
  }

  function tell(kind, text) {
    byId('verdict').className = kind;
    if (byId('verdict').textContent !== text) byId('verdict').textContent = text;
  }

  async function ask() {
    try {
      const status = await askJson('api/v1/status');
      lost = null;
      heard(BigInt(status.now_ns));
      show(status);
    } catch (error) {
      lost ??= BigInt(Date.now()) * 1_000_000n;
      tell('bad', `● no answer since ${showTime(lost, zone()).slice(-8)}`);
      byId('verdict').title = error.message;
    }
    setTimeout(ask, PERIOD_MS);
  }
  ask();
}
