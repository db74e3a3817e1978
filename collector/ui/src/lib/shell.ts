// Commands to copy: every word quoted so that a shell reads it as it is, whatever it holds.

/** One word for a POSIX shell. */
export function shellQuoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
