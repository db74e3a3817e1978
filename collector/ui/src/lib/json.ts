// JSON with exact integers: 64-bit counters and identifiers do not fit a JavaScript number, and a
// filter made from a rounded one would find nothing.

type Reviver = (key: string, value: unknown, context?: { source?: string }) => unknown;

const exact: Reviver = (_key, value, context) => {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  const source = context?.source;
  return source !== undefined && /^-?\d+$/.test(source) ? BigInt(source) : value;
};

/** Parses JSON; integers beyond 2^53 become bigint where the engine gives the source text. */
export function parseJson(text: string): unknown {
  // The reviver is slow, so it runs only when a long run of digits is there at all.
  return /\d{16}/.test(text)
    ? JSON.parse(text, exact as (key: string, value: unknown) => unknown)
    : JSON.parse(text);
}
