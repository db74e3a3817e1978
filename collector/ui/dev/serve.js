// Serves dist/ under the collector's content security policy and hands the API on to a running collector, so that a
// built page can be driven against real data without building the collector anew.
//   node dev/serve.js --collector http://127.0.0.1:8080 [--port 10809]
import { createServer, request as ask } from 'node:http';
import { parseArgs } from 'node:util';
import { serveFile } from './dist.js';

const { values: options } = parseArgs({
  options: { collector: { type: 'string' }, port: { type: 'string', default: '10809' } },
});
if (options.collector === undefined) {
  console.error('serve: --collector http://HOST:PORT is needed');
  process.exit(2);
}
const collector = new URL(options.collector);

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
  serveFile(pathname, response);
}).listen(Number(options.port), '127.0.0.1', () =>
  console.log(`page at http://127.0.0.1:${options.port}, answers from ${collector.origin}`),
);
