// Serves the page as a Varve server will, and passes every other request on to a running one.
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import { fileURLToPath } from 'node:url';

const PAGE = fileURLToPath(new URL('..', import.meta.url));
const TYPES = { html: 'text/html; charset=utf-8', css: 'text/css; charset=utf-8', js: 'text/javascript; charset=utf-8' };
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:";

async function page(name, response) {
  const type = TYPES[name.split('.').pop()];
  const text = type && /^[a-z]+\.[a-z]+$/.test(name) && await readFile(PAGE + name).catch(() => null);
  if (!text) {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, {
    'content-type': type, 'content-security-policy': POLICY, 'cache-control': 'no-cache', 'x-content-type-options': 'nosniff',
  }).end(text);
}

function pass(server, request, response) {
  const onward = http.request(new URL(request.url, server), {
    method: request.method, headers: { ...request.headers, host: new URL(server).host },
  }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  });
  onward.on('error', () => response.destroy());
  response.on('close', () => onward.destroy());
  request.pipe(onward);
}

/** Listens on `port` (0: a free one); resolves to `{url, close}`. */
export function serve(server, port = 0) {
  const own = http.createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://page');
    if (pathname === '/') page('index.html', response);
    else if (pathname.startsWith('/page/')) page(pathname.slice('/page/'.length), response);
    else pass(server, request, response);
  });
  return new Promise((resolve) => {
    own.listen(port, '127.0.0.1', () => resolve({
      url: `http://127.0.0.1:${own.address().port}`,
      close: () => {
        own.closeAllConnections();
        own.close();
      },
    }));
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [server, port = '0'] = process.argv.slice(2);
  if (!server) {
    console.error('usage: node serve.mjs URL-OF-VARVE-SERVER [PORT]');
    process.exit(2);
  }
  console.log((await serve(server, Number(port))).url);
}
