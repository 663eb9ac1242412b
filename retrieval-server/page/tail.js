// Hears of new samples from the server, where it can tell them.
import { address, askJson } from './api.js';
import { exactNanoseconds } from './columns.js';
import { rfc3339 } from './times.js';

const RETRY_MS = 2000;
let offered;

/** Whether this server has `/api/v1/follow`. */
export function canFollow() {
  offered ??= askJson('openapi.json').then(({ paths }) => '/api/v1/follow' in paths).catch(() => {
    offered = undefined;
    return false;
  });
  return offered;
}

/**
 * Follows channels from a time on, over broken connections too. `hear(kind, data)` gets
 * `sample`, `event` and `gap`. Returns a function that ends it.
 */
export function followChannels(channels, from, hear) {
  let source, timer, cursor = '';
  const connect = () => {
    source = new EventSource(address('api/v1/follow', { channel: channels, ...(cursor ? { cursor } : { from: rfc3339(from) }) }));
    for (const kind of ['sample', 'event', 'gap', 'heartbeat']) {
      source.addEventListener(kind, ({ data, lastEventId }) => {
        cursor = lastEventId || cursor;
        if (kind !== 'heartbeat') hear(kind, JSON.parse(exactNanoseconds(data)));
      });
    }
    source.onerror = () => {
      // An own connection instead of the browser's: the cursor travels in the query.
      source.close();
      timer = setTimeout(connect, RETRY_MS);
    };
  };
  connect();
  return () => {
    clearTimeout(timer);
    source.close();
  };
}
