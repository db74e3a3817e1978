// Enough of the filter language for the mock: comparisons, `in`, and/or/not, parentheses, faults with their place.
import { COLUMNS } from './columns.js';

const TOKEN = /\s*("(?:\\.|[^"\\])*"|&&|\|\||!=|<=|>=|[=<>!(),]|[^\s"()=<>!,]+)/gsuy;

function distance(a, b) {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1)
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] !== b[j - 1]));
    row = next;
  }
  return row[b.length];
}

function scan(text) {
  const tokens = [];
  TOKEN.lastIndex = 0;
  for (let match = TOKEN.exec(text); match !== null; match = TOKEN.exec(text))
    tokens.push({ text: match[1], at: TOKEN.lastIndex - match[1].length });
  return tokens;
}

/** Gives a predicate over rows; `fault(detail, place)` makes the error that is thrown. */
export function parseFilter(text, fault) {
  const tokens = scan(text);
  let at = 0;
  const octets = (unit) => Buffer.byteLength(text.slice(0, unit));
  const fail = (detail, more = {}) => {
    const token = tokens[at];
    const offset = token === undefined ? octets(text.length) : octets(token.at);
    throw fault(detail, {
      offset,
      length: token === undefined ? 0 : Buffer.byteLength(token.text),
      expected: [],
      nearest: null,
      ...more,
    });
  };
  const word = () => tokens[at]?.text.toLowerCase();

  function value(column) {
    const token = tokens[at];
    if (token === undefined) fail('a value is missing', { expected: ['value'] });
    at += 1;
    if (token.text.startsWith('"')) return token.text.slice(1, -1).replace(/\\(.)/gs, '$1');
    const code = Object.entries(column?.codes ?? {}).find(
      ([, label]) => label.toLowerCase() === token.text.toLowerCase(),
    );
    if (code !== undefined) return Number(code[0]);
    const unit = /^(\d+(?:\.\d+)?)(ns|us|ms|s|k|M|G)?$/.exec(token.text);
    if (unit !== null)
      return unit[1] * ({ ns: 1, us: 1e3, ms: 1e6, s: 1e9, k: 1e3, M: 1e6, G: 1e9 }[unit[2]] ?? 1);
    return token.text;
  }

  function equal(held, wanted) {
    if (typeof wanted === 'string' && wanted.includes('/') && typeof held === 'string') {
      // Good enough for a mock: whole octets only.
      const [net, bits] = wanted.split('/');
      const parts = Math.floor(Number(bits) / 8);
      return held.split('.').slice(0, parts).join('.') === net.split('.').slice(0, parts).join('.');
    }
    return held === wanted || String(held) === String(wanted);
  }

  function primary() {
    if (word() === 'not' || word() === '!') {
      at += 1;
      const inner = primary();
      return (row) => !inner(row);
    }
    if (word() === '(') {
      at += 1;
      const inner = either();
      if (word() !== ')') fail('a parenthesis is not closed', { expected: [')'] });
      at += 1;
      return inner;
    }
    const token = tokens[at];
    if (token === undefined) fail('the filter ends too early', { expected: ['column'] });
    const column = COLUMNS.find((found) => found.name === token.text.toLowerCase());
    if (column === undefined && !/^([A-Za-z]+[A-Z]\w*|\d+\.\d+|flowId)$/.test(token.text)) {
      const near = COLUMNS.map(({ name }) => [distance(token.text, name), name]).sort(
        (a, b) => a[0] - b[0],
      )[0];
      fail(`unknown column '${token.text}'`, {
        nearest: near[0] <= 3 ? near[1] : null,
        expected: ['column'],
      });
    }
    at += 1;
    const name = column?.name ?? token.text;
    const operator = word();
    if (!['=', '!=', '<', '<=', '>', '>=', 'in'].includes(operator))
      fail('an operator is missing', { expected: ['=', '!=', '<', '<=', '>', '>=', 'in'] });
    at += 1;
    if (operator === 'in') {
      const wanted = [];
      if (word() === '(') {
        do {
          at += 1;
          wanted.push(value(column));
        } while (word() === ',');
        if (word() !== ')') fail('a list is not closed', { expected: [',', ')'] });
        at += 1;
      } else wanted.push(value(column));
      return (row) => wanted.some((one) => equal(row[name], one));
    }
    const wanted = value(column);
    const compare = {
      '=': (held) => equal(held, wanted),
      '!=': (held) => !equal(held, wanted),
      '<': (held) => held < wanted,
      '<=': (held) => held <= wanted,
      '>': (held) => held > wanted,
      '>=': (held) => held >= wanted,
    }[operator];
    return (row) => name in row && compare(row[name]);
  }

  function both() {
    let left = primary();
    while (word() === 'and' || word() === '&&') {
      at += 1;
      const first = left;
      const second = primary();
      left = (row) => first(row) && second(row);
    }
    return left;
  }

  function either() {
    let left = both();
    while (word() === 'or' || word() === '||') {
      at += 1;
      const first = left;
      const second = both();
      left = (row) => first(row) || second(row);
    }
    return left;
  }

  if (tokens.length === 0) return () => true;
  const whole = either();
  if (at < tokens.length) fail('unexpected here', { expected: ['and', 'or'] });
  return whole;
}
