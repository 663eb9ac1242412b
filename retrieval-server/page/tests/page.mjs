// Checks the page of a running Varve server in a real browser.
import assert from 'node:assert/strict';
import { api, hashOf, instant, SECOND, skip, startBrowser, View } from './rig.mjs';

const [base, modules, screenshot] = process.argv.slice(2);
if (!base || !modules) {
  console.error('usage: node page.mjs URL DIRECTORY-WITH-NODE_MODULES [SCREENSHOT.png]\nCHECK=WORDS in the environment runs only the checks whose names hold them.');
  process.exit(2);
}
const browser = await startBrowser(modules);
let failed = 0, skipped = 0;

async function check(name, options, body) {
  if (!name.includes(process.env.CHECK ?? '')) return;
  const view = await View.open(browser, base, options);
  try {
    const told = await body(view);
    if (told) skipped += 1;
    console.log(told ? `SKIPPED ${name}: ${told}` : `ok ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED ${name}: ${error.stack}`);
  } finally {
    await view.close();
  }
}

const { channels } = await api(base, 'channels?limit=200');
const numbers = channels.filter(({ type, samples }) => /^(float|u?int)\d+$/.test(type) && samples > 500)
  .sort((one, other) => other.samples - one.samples);
if (numbers.length < 2) skip('the server has fewer than two channels with 500 numbers');
const [one, two] = numbers;
const first = one.first_ns > two.first_ns ? one.first_ns : two.first_ns;
const last = one.last_ns < two.last_ns ? one.last_ns : two.last_ns;
const names = [one.name, two.name];
/** A range that holds all samples so far, and begins before the first. */
const whole = [instant(first - (last - first) / 8n), instant(last)];
const wholeHash = hashOf(names, ...whole);

await check('loads without errors, under the policy, from its own origin only', {}, async (view) => {
  const answer = await view.go();
  const policy = (await answer.allHeaders())['content-security-policy'];
  for (const rule of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self' data:"]) {
    assert.ok(policy?.includes(rule), `${rule} in ${policy}`);
  }
  await view.go(wholeHash);
  assert.deepEqual(view.errors, []);
  assert.deepEqual(view.requests.filter((url) => !url.startsWith('data:') && new URL(url).origin !== new URL(base).origin), []);
  assert.match((await view.texts('#verdict'))[0], /ready|problem/);
});

await check('search finds channels as one types and takes them into the plot', {}, async (view) => {
  await view.go(`#from=${whole[0]}&to=${whole[1]}&tz=UTC`);
  for (const [place, name] of names.entries()) {
    await view.page.fill('#match', name.slice(1));
    await view.page.waitForFunction((wanted) => [...document.querySelectorAll('#channels button')].some(({ dataset }) => dataset.name === wanted)
      && [...document.querySelectorAll('#channels button')].every(({ dataset }) => dataset.name.includes(wanted.slice(1))), name);
    assert.equal(view.asked('/api/v1/channels').at(-1).get('match'), `*${name.slice(1)}*`);
    await view.page.locator('#channels button').filter({ hasText: name }).first().click();
    await view.settled();
    const { [`c${place}`]: drawn } = await view.pixels(`c${place}`);
    assert.ok(drawn.count > 300 && drawn.bottom - drawn.top > 100, `channel ${place}: ${JSON.stringify(drawn)}`);
  }
  assert.deepEqual(await view.texts('#legend td:nth-child(2)'), names);
  await view.page.fill('#match', 'zzz-no-such-channel');
  await view.page.waitForFunction(() => !document.querySelector('#channels button'));
  assert.match((await view.texts('#found'))[0], /No channel/);
});

await check('a long list comes in pages', {}, async (view) => {
  await view.go();
  const shown = await view.page.locator('#channels button').count();
  if (channels.length <= 100) {
    assert.equal(shown, channels.length);
    assert.equal(await view.page.locator('#more').isVisible(), false);
    return 'the server has no second page of channels';
  }
  assert.equal(shown, 100);
  await view.page.click('#more');
  await view.page.waitForFunction(() => document.querySelectorAll('#channels button').length > 100);
});

await check('a drag zooms: bins of the narrower range, and back', {}, async (view) => {
  await view.go(wholeHash);
  const before = view.lastRange(), image = await view.image();
  await view.drag(0.4, 0.6);
  await view.settled();
  const [from, to] = view.lastRange(), span = before[1] - before[0];
  assert.ok(from > before[0] && to < before[1], `${from} ${to}`);
  assert.ok((to - from) / span > 0.15 && (to - from) / span < 0.3, `${(to - from) / span} of the range`);
  assert.notEqual(await view.image(), image);
  await view.page.click('#back');
  await view.settled();
  assert.deepEqual(view.lastRange(), before);
  await view.page.mouse.move(0, 0);
  await view.settled();
  assert.equal(await view.image(), image);
});

await check('wheel, keys and the time axis zoom and pan', {}, async (view) => {
  await view.go(wholeHash);
  const span = ([from, to]) => to - from, before = view.lastRange();
  await view.hover(0.5);
  await view.page.mouse.wheel(0, -300);
  await view.settled();
  const nearer = view.lastRange();
  assert.ok(span(nearer) < span(before) * 0.7);
  await view.page.focus('#plot');
  await view.page.keyboard.press('ArrowRight');
  await view.settled();
  const right = view.lastRange();
  assert.ok(right[0] > nearer[0] && Math.abs(span(right) - span(nearer)) < 2);
  await view.drag(0.4, 0.6, 0.97);
  await view.settled();
  const panned = view.lastRange();
  assert.ok(panned[0] < right[0] && Math.abs(span(panned) - span(right)) < 2);
  await view.page.focus('#plot');
  await view.page.keyboard.press('Backspace');
  await view.settled();
  assert.deepEqual(view.lastRange(), right);
});

await check('a newer range aborts the older request', {}, async (view) => {
  await view.go(wholeHash);
  await view.page.route('**/api/v1/bins*', async (route) => {
    await new Promise((done) => { setTimeout(done, 1500); });
    await route.continue().catch(() => {});
  });
  await view.drag(0.3, 0.7);
  await view.page.waitForTimeout(100);
  await view.drag(0.4, 0.6);
  await view.page.waitForTimeout(100);
  assert.equal(view.aborted.filter((url) => url.includes('/api/v1/bins')).length, 1);
});

await check('the hash reproduces the plot to the pixel', {}, async (view) => {
  await view.go(wholeHash);
  await view.drag(0.3, 0.6);
  await view.settled();
  await view.page.selectOption('#zone', 'Asia/Tokyo');
  await view.settled();
  await view.page.mouse.move(0, 0);
  await view.settled();
  const hash = new URL(view.page.url()).hash, image = await view.image();
  const other = await View.open(browser, base);
  try {
    await other.go(hash);
    assert.deepEqual(await other.texts('#legend td:nth-child(2)'), names);
    assert.equal(await other.page.inputValue('#from'), await view.page.inputValue('#from'));
    assert.equal(await other.page.inputValue('#zone'), 'Asia/Tokyo');
    assert.equal(await other.image(), image);
  } finally {
    await other.close();
  }
});

await check('an unknown channel is told in the words of the API', {}, async (view) => {
  const unknown = 'no:such {channel}[1]+#&/%<b>x</b>';
  const { error } = await api(base, `bins?channel=${encodeURIComponent(unknown)}&bins=1`);
  assert.equal(error.code, 'unknown_channel');
  await view.go(hashOf([unknown], ...whole));
  assert.deepEqual(await view.texts('#legend .bad'), [error.message]);
  await view.go(hashOf([names[0], unknown], ...whole));
  assert.deepEqual(await view.texts('#legend td:nth-child(2)'), [names[0], unknown]);
  assert.deepEqual(await view.texts('#legend .bad'), [error.message]);
  assert.ok((await view.pixels('c0')).c0.count > 300);
});

await check('a time that is none is told in the words of the API', {}, async (view) => {
  await view.go(wholeHash);
  const { error } = await api(base, `bins?channel=${encodeURIComponent(names[0])}&bins=1&from=bla`);
  await view.page.fill('#from', 'bla');
  await view.page.keyboard.press('Enter');
  await view.settled();
  assert.equal((await view.texts('#error'))[0], error.message);
  assert.equal(await view.page.getAttribute('#from', 'aria-invalid'), 'true');
  await view.page.fill('#from', whole[0]);
  await view.page.keyboard.press('Enter');
  await view.settled();
  assert.notEqual((await view.texts('#error'))[0], error.message);
  assert.equal(await view.page.getAttribute('#from', 'aria-invalid'), 'false');
});

await check('gaps are drawn in the colours of their states and named under the mouse', {}, async (view) => {
  const range = `from=${whole[0]}&to=${whole[1]}`;
  // Damage is known once somebody has met it.
  await api(base, `bins?match=*&bins=1&stats=count&${range}`);
  const long = (last - first) / 50n;
  const candidates = (await api(base, `coverage?match=*&${range}`)).channels.map(({ name, intervals }) => ({
    name, gaps: intervals.filter(({ from_ns: from, to_ns: to, state }) => state !== 'held' && to - from > long),
  }));
  const { name, gaps } = candidates.sort((a, b) => b.gaps.length - a.gaps.length)[0];
  assert.ok(gaps.length, 'the archive has a gap');
  await view.go(hashOf([name], ...whole));
  const key = await view.texts('#key span');
  for (const { state, from_ns: from, to_ns: to } of gaps) {
    const drawn = (await view.pixels(state))[state];
    assert.ok(drawn.count > 50, `${drawn.count} pixels of ${state}`);
    // A row of the plot without grid: the band is there if it is another colour than beside it.
    const held = await view.colourAt(Math.round(drawn.right) + 3, 40), band = await view.colourAt(Math.round((drawn.left + drawn.right) / 2), 40);
    assert.notEqual(band, held, `band of ${state}`);
    assert.ok(key.includes(state.replace('_', ' ')), `${state} in ${key}`);
    const box = await view.page.locator('#plot').boundingBox();
    const same = gaps.filter((gap) => gap.state === state);
    if (same.length > 1) continue;
    await view.page.mouse.move(box.x + (drawn.left + drawn.right) / 2, box.y + 100);
    await view.settled();
    const [value] = await view.texts('#legend td:nth-child(3)'), [edges] = await view.texts('#legend td:nth-child(4)');
    assert.equal(value, state.replace('_', ' '));
    for (const edge of [from, to]) assert.ok(edges.includes(instant(edge).slice(5, 19).replace('T', ' ')), `${instant(edge)} in ${edges}`);
  }
  if (gaps.some(({ state }) => state === 'damaged')) assert.match((await view.texts('#error'))[0], /damaged/);
});

await check('another zone changes the labels of the axis and the time under the mouse', {}, async (view) => {
  const day = hashOf(names, instant(last - 20n * 3600n * SECOND), instant(last));
  await view.go(day);
  await view.hover(0.5);
  await view.settled();
  const axis = await view.image(34), [when] = await view.texts('#when');
  await view.page.selectOption('#zone', 'Asia/Tokyo');
  await view.settled();
  await view.hover(0.5);
  await view.settled();
  assert.notEqual(await view.image(34), axis);
  const [there] = await view.texts('#when'), time = (text) => Date.parse(`${text.slice(3).replace(' ', 'T')}Z`);
  assert.equal(time(there) - time(when), 9 * 3_600_000);
  assert.match(new URL(view.page.url()).hash, /tz=Asia\/Tokyo/);
});

await check('marks of the time axis follow clocks that change', {}, async (view) => {
  await view.go();
  const marks = (start, hours, zone, count) => view.page.evaluate(async ([from, span, ...more]) => {
    const { timeTicks } = await import('/page/times.js'), ns = BigInt(Date.parse(from)) * 1_000_000n;
    return timeTicks(ns, ns + BigInt(span) * 3_600_000_000_000n, ...more).map(({ label, date }) => `${date} ${label}`.trim());
  }, [start, hours, zone, count]);
  assert.deepEqual(await marks('2026-03-28T23:00Z', 4, 'Europe/London', 4), ['2026-03-28 23:00', '2026-03-29 00:00', '02:00', '03:00']);
  assert.deepEqual(await marks('2026-10-24T12:00Z', 72, 'Europe/London', 3), ['2026 10-25', '10-26', '10-27']);
  assert.deepEqual(await marks('2026-01-01T12:00Z', 24 * 28, 'Asia/Tokyo', 4), ['2026 01-05', '01-12', '01-19', '01-26']);
  assert.deepEqual(await marks('2026-01-15T12:00Z', 24 * 365, 'UTC', 5), ['2026-04', '2026-07', '2026-10', '2027-01']);
});

await check('few samples are drawn as they are, many as bins with their extremes', {}, async (view) => {
  await view.go(hashOf([names[0]], instant(last - 20n * SECOND), instant(last)));
  const few = await api(base, `samples?channel=${encodeURIComponent(names[0])}&from=${instant(last - 20n * SECOND)}&to=${instant(last)}`);
  const count = few.channels[0].segments.reduce((sum, { time_ns: times }) => sum + times.length, 0);
  assert.deepEqual(await view.texts('#legend td:nth-child(6)'), [`${count} samples`]);
  assert.equal(view.asked('/api/v1/samples').length, 1);
  await view.go(wholeHash);
  if (one.samples < 3000) return 'no channel has many samples';
  assert.match((await view.texts('#legend td:nth-child(6)'))[0], /^bins of/);
  await view.hover(0.5);
  await view.settled();
  assert.match((await view.texts('#legend td:nth-child(4)'))[0], /… .*\(\d+\)/);
});

await check('severities are marked in their colours', {}, async (view) => {
  const bins = await api(base, `bins?match=*&bins=1&stats=severity&from=${whole[0]}&to=${whole[1]}`);
  const alarmed = bins.channels.find(({ columns }) => columns?.severity?.[0] > 0);
  if (!alarmed) return 'no channel had an alarm';
  const name = ['', 'MINOR', 'MAJOR', 'INVALID'][alarmed.columns.severity[0]];
  await view.go(hashOf([alarmed.name], ...whole));
  const { [name]: drawn } = await view.pixels(name), height = await view.page.evaluate(() => document.getElementById('plot').clientHeight);
  assert.ok(drawn.count > 5 && drawn.bottom > height - 48, `in the strip too: ${JSON.stringify(drawn)} of ${height}`);
  assert.ok((await view.texts('#key span')).includes(name));
});

await check('states of enums are the labels of their axis', {}, async (view) => {
  const enums = channels.filter(({ type }) => type === 'enum');
  if (!enums.length) return 'the server has no enum';
  const { metadata } = await api(base, `channel?channel=${encodeURIComponent(enums[0].name)}`);
  await view.go(hashOf([enums[0].name], ...whole));
  assert.ok(metadata.states.includes((await view.texts('#legend td:nth-child(3)'))[0]));
});

await check('live: without follow the server is asked every second, until a zoom', {}, async (view) => {
  await view.page.route('**/openapi.json', (route) => route.fulfill({ json: { paths: {} } }));
  await view.page.goto(`${base}/${hashOf(names, '-1m', 'now', '&tz=UTC&live=1')}`);
  await view.page.waitForTimeout(4500);
  const asked = view.asked('/api/v1/bins').length;
  assert.ok(asked >= 3 && asked <= 6, `${asked} requests`);
  await view.drag(0.4, 0.6);
  await view.settled();
  const then = view.asked('/api/v1/bins').length;
  await view.page.waitForTimeout(2000);
  assert.equal(view.asked('/api/v1/bins').length, then);
  assert.equal(await view.page.isChecked('#live'), false);
});

await check('live: with follow samples appear, and a broken stream goes on at its cursor', {}, async (view) => {
  const asked = [];
  await view.page.route('**/openapi.json', (route) => route.fulfill({ json: { paths: { '/api/v1/follow': {} } } }));
  await view.page.route('**/api/v1/follow*', (route) => {
    asked.push(new URL(route.request().url()).searchParams);
    const sample = { name: names[0], time_ns: 0, value: 4710 + asked.length, severity: 2, status: 3 };
    // A little ahead, so that it is newer than what the server has, whenever that is loaded.
    const data = JSON.stringify(sample).replace(':0,', `:${BigInt(Date.now() + 1500) * 1_000_000n},`);
    route.fulfill({ contentType: 'text/event-stream', body: `id: c${asked.length}\nevent: sample\ndata: ${data}\n\nevent: heartbeat\ndata: {}\n\n` });
  });
  await view.page.goto(`${base}/${hashOf(names, '-1m', 'now', '&tz=UTC&live=1')}`);
  await view.page.waitForFunction(() => document.querySelector('#legend td:nth-child(3)')?.textContent.startsWith('4711'));
  assert.equal((await view.texts('#legend td:nth-child(5)'))[0], 'MAJOR');
  // The second stream begins after everything was loaded.
  await view.page.waitForFunction(() => document.querySelector('#legend td:nth-child(3)')?.textContent.startsWith('4712'));
  assert.deepEqual(asked[0].getAll('channel'), names);
  assert.ok(Date.parse(asked[0].get('from')));
  assert.equal(asked[1].get('cursor'), 'c1');
  assert.deepEqual(view.errors, []);
});

await check('what is shown can be taken away as CSV and JSON', {}, async (view) => {
  await view.go(wholeHash);
  const links = await view.page.locator('#export a').evaluateAll((all) => all.map(({ href, textContent }) => [textContent, href]));
  assert.equal(links.length, 5);
  for (const [text, href] of links) {
    const answer = await fetch(href);
    assert.equal(answer.status, 200, href);
    assert.match(answer.headers.get('content-type'), text === 'CSV' ? /csv/ : /json/);
    await answer.body.cancel();
  }
});

await check('a telephone shows everything without scrolling sideways', { viewport: { width: 390, height: 844 }, hasTouch: true, colorScheme: 'dark' }, async (view) => {
  await view.go(wholeHash);
  assert.equal(await view.page.evaluate(() => document.documentElement.scrollWidth), 390);
  assert.ok((await view.pixels('c0')).c0.count > 100);
  if (screenshot) await view.page.screenshot({ path: screenshot.replace(/(\.png)?$/, '-telephone.png'), fullPage: true });
});

if (screenshot) {
  await check('a screenshot', {}, async (view) => {
    await view.go(wholeHash);
    await view.hover(0.6);
    await view.settled();
    await view.page.screenshot({ path: screenshot });
  });
}

await browser.close();
console.log(`${failed ? `${failed} FAILED` : 'all ok'}${skipped ? `, ${skipped} skipped` : ''}`);
process.exit(failed ? 1 : 0);
