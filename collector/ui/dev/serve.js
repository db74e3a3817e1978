// Serves dist/ under the collector's content security policy and hands the API on to a running collector, so that a
// built page can be driven against real data without building the collector anew.
//   node dev/serve.js --collector http://127.0.0.1:8080 [--port 10809]
import { createReadStream, existsSync, statSync } from 'node:fs';
import { createServer, request as ask } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createGzip } from 'node:zlib';

const { values: options } = parseArgs({
  options: { collector: { type: 'string' }, port: { type: 'string', default: '10809' } },
});
if (options.collector === undefined) {
  console.error('serve: --collector http://HOST:PORT is needed');
  process.exit(2);
}
const collector = new URL(options.collector);
const dist = join(fileURLToPath(new URL('.', import.meta.url)), '..', 'dist');
const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
};
const POLICY =
  "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

function hand(request, response) {
  const headers = { ...request.headers, host: collector.host };
  const onward = ask(
    { host: collector.hostname, port: collector.port, path: request.url, headers },
    (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    },
  );
  onward.on('error', () => response.destroy());
  response.on('close', () => onward.destroy());
  onward.end();
}

createServer((request, response) => {
  const { pathname } = new URL(request.url, 'http://page');
  if (/^\/(api|metrics|healthz|readyz)(\/|$)/.test(pathname)) return hand(request, response);
  const wanted = join(dist, normalize(pathname));
  const found =
    wanted.startsWith(dist) && existsSync(wanted) && statSync(wanted).isFile()
      ? wanted
      : join(dist, 'index.html');
  response.writeHead(200, {
    'content-type': TYPES[extname(found)] ?? 'application/octet-stream',
    'content-security-policy': POLICY,
    // As the collector does, so that what is counted of it is what comes.
    'content-encoding': 'gzip',
  });
  createReadStream(found).pipe(createGzip()).pipe(response);
}).listen(Number(options.port), '127.0.0.1', () =>
  console.log(`page at http://127.0.0.1:${options.port}, answers from ${collector.origin}`),
);
