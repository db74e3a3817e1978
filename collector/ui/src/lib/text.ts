// Text from the network made safe to look at: control characters and those that turn the direction of reading
// are shown as their code, so that nothing on the page can pretend to be something else.

export interface Segment {
  text: string;
  /** Set for a character that would not be seen: its code point, "U+202E". */
  code: string | null;
}

// C0, DEL, C1; soft hyphen; Arabic letter mark; zero width and directional marks; line separators; bidi embeddings,
// isolates and invisible operators; variation of the byte order mark; interlinear marks; tags; lone surrogates.
const UNSEEN =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202f\u205f-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\u{e0000}-\u{e007f}]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/gu;

/** Cuts text into plain runs and unseen characters. */
export function segments(text: string): Segment[] {
  const found: Segment[] = [];
  let end = 0;
  for (const match of text.matchAll(UNSEEN)) {
    if (match.index > end) found.push({ text: text.slice(end, match.index), code: null });
    found.push({ text: match[0], code: codePoint(match[0]) });
    end = match.index + match[0].length;
  }
  if (end < text.length || found.length === 0) found.push({ text: text.slice(end), code: null });
  return found;
}

function codePoint(character: string): string {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
}

/** The same as one plain text, for titles and labels, cut to `most` characters. */
export function inert(text: string, most = 300): string {
  const head = clip(text, most);
  const plain = segments(head)
    .map((segment) => (segment.code === null ? segment.text : `<${segment.code}>`))
    .join('');
  return head.length < text.length ? `${plain}… (${text.length} characters)` : plain;
}

/** The first `most` UTF-16 units, without cutting a pair in two. */
export function clip(text: string, most: number): string {
  if (text.length <= most) return text;
  const last = text.charCodeAt(most - 1);
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? most - 1 : most);
}

const encoder = new TextEncoder();

/** The API counts octets of UTF-8, the page counts UTF-16 units: this is the unit that starts at or behind an octet. */
export function unitAt(text: string, octet: number): number {
  let octets = 0;
  let unit = 0;
  for (const character of text) {
    if (octets >= octet) return unit;
    octets += encoder.encode(character).length;
    unit += character.length;
  }
  return unit;
}

/** Octets of UTF-8 before a UTF-16 unit. */
export function octetAt(text: string, unit: number): number {
  return encoder.encode(text.slice(0, unit)).length;
}
