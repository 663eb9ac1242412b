// Starts a browser and looks at the page through it.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome', '/snap/bin/chromium'];
const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--force-color-profile=srgb',
];
/** A page that asks nothing for so long has what it wants: longer than its own waits for typing and wheel. */
const QUIET_MS = 300;
const PATIENCE_MS = 20_000;
export const SECOND = 1_000_000_000n;

/** Ends the run visibly, without failing it: what is missing is no fault of the page. */
export function skip(why) {
  console.log(`SKIPPED page: ${why}`);
  process.exit(0);
}

/** `modules`: a directory with `node_modules/playwright-core`. */
export async function startBrowser(modules) {
  const executablePath = process.env.CHROMIUM || PLACES.find(existsSync);
  if (!executablePath || !existsSync(executablePath)) skip('no Chromium; install one with: apt-get install chromium, or name it in CHROMIUM');
  let playwright;
  try {
    playwright = createRequire(join(modules, 'x'))('playwright-core');
  } catch {
    skip(`no playwright-core; install it with: npm install --prefix ${modules} playwright-core`);
  }
  return playwright.chromium.launch({ executablePath, args: FLAGS });
}

export class View {
  /** A page whose errors and requests are remembered. */
  static async open(browser, base, options = {}) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, timezoneId: 'Europe/London', colorScheme: 'light', ...options });
    const view = new View();
    Object.assign(view, { base, context, page: await context.newPage(), errors: [], requests: [], aborted: [], pending: new Set(), moved: 0 });
    view.page.on('console', (message) => message.type() === 'error' && view.errors.push(message.text()));
    view.page.on('pageerror', (error) => view.errors.push(error.stack));
    view.page.on('request', (request) => {
      view.requests.push(request.url());
      view.pending.add(request);
      view.moved = Date.now();
    });
    const ended = (request) => {
      view.pending.delete(request);
      view.moved = Date.now();
    };
    view.page.on('requestfinished', ended);
    view.page.on('requestfailed', (request) => {
      view.aborted.push(request.url());
      ended(request);
    });
    return view;
  }

  async go(hash = '') {
    await this.page.goto('about:blank');
    this.requests.length = 0;
    const answer = await this.page.goto(`${this.base}/${hash}`);
    await this.settled();
    return answer;
  }

  /** Waits until no request is under way and what came is drawn. */
  async settled() {
    const start = this.moved = Date.now();
    while (this.pending.size || Date.now() - this.moved < QUIET_MS) {
      if (Date.now() - start > PATIENCE_MS) throw new Error(`still asking for ${[...this.pending].map((request) => request.url())}`);
      await new Promise((done) => { setTimeout(done, 20); });
    }
    await this.page.evaluate(() => new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); }));
  }

  asked(path) {
    return this.requests.filter((url) => new URL(url).pathname === path).map((url) => new URL(url).searchParams);
  }

  /** `[from, to]` of the last request for bins, in milliseconds. */
  lastRange() {
    const last = this.asked('/api/v1/bins').at(-1);
    return [Date.parse(last.get('from')), Date.parse(last.get('to'))];
  }

  /** How many pixels of the plot have exactly the colour of each name, and within which bounds. */
  pixels(...names) {
    return this.page.evaluate((wanted) => {
      const canvas = document.getElementById('plot'), { width, height } = canvas;
      const { data } = canvas.getContext('2d').getImageData(0, 0, width, height), style = getComputedStyle(canvas);
      return Object.fromEntries(wanted.map((name) => {
        const hex = parseInt(style.getPropertyValue(`--${name}`).trim().slice(1), 16), seen = { count: 0, left: Infinity, right: -1, top: Infinity, bottom: -1 };
        for (let i = 0; i < data.length; i += 4) {
          if (((data[i] << 16) | (data[i + 1] << 8) | data[i + 2]) !== hex || data[i + 3] !== 255) continue;
          const x = (i / 4) % width, y = Math.floor(i / 4 / width);
          Object.assign(seen, {
            count: seen.count + 1, left: Math.min(seen.left, x), right: Math.max(seen.right, x),
            top: Math.min(seen.top, y), bottom: Math.max(seen.bottom, y),
          });
        }
        return [name, seen];
      }));
    }, names);
  }

  /** Colour at a place of the plot. */
  colourAt(x, y) {
    return this.page.evaluate(([left, top]) => [...document.getElementById('plot').getContext('2d').getImageData(left, top, 1, 1).data].join(), [x, y]);
  }

  /** What the canvas shows, or its lower part with the time axis. */
  image(fromBottom = Infinity) {
    return this.page.evaluate((rows) => {
      const canvas = document.getElementById('plot'), top = Math.max(0, canvas.height - rows);
      const { data } = canvas.getContext('2d').getImageData(0, top, canvas.width, canvas.height - top);
      return data.reduce((sum, byte) => (sum * 31 + byte) % 1_000_000_007, 7);
    }, fromBottom === Infinity ? 1e9 : fromBottom);
  }

  /** A place in the plot, by parts of its width and height. */
  async at(across, down = 0.4) {
    const { x, y, width, height } = await this.page.locator('#plot').boundingBox();
    return [x + across * width, y + down * height];
  }

  async hover(across) {
    await this.page.mouse.move(...await this.at(across));
  }

  async drag(from, to, down) {
    await this.page.mouse.move(...await this.at(from, down));
    await this.page.mouse.down();
    await this.page.mouse.move(...await this.at((from + to) / 2, down));
    await this.page.mouse.move(...await this.at(to, down));
    await this.page.mouse.up();
  }

  texts(selector) {
    return this.page.locator(selector).allTextContents();
  }

  close() {
    return this.context.close();
  }
}

/** Hash of a plot. */
export function hashOf(channels, from, to, more = '&tz=UTC') {
  return `#${channels.map((name) => `channel=${encodeURIComponent(name)}`).join('&')}&from=${from}&to=${to}${more}`;
}

export const instant = (ns) => new Date(Number(ns / 1_000_000n)).toISOString();

/** The JSON of an answer, nanoseconds as BigInt. */
export async function api(base, path) {
  const answer = await fetch(`${base}/api/v1/${path}`);
  const text = (await answer.text()).replace(/("\w+_ns":\s*)(-?\d{15,})/g, '$1"$2"');
  return JSON.parse(text, (key, value) => (key.endsWith('_ns') && typeof value === 'string' ? BigInt(value) : value));
}
