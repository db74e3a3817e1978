// Commands to copy: every word quoted so that a shell reads it as it is, whatever it holds.

/** One word for a POSIX shell. */
export function shellQuoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** An exporter that sends to the collector this page came from, by its usual port. */
export function exporterCommand(
  options: string,
  transport: 'tcp' | 'udp' = 'tcp',
  hostname = location.hostname,
): string {
  const bare = hostname.replace(/[[\]]/g, '');
  return `flowgauge-exporter run ${options} --to ${transport}://${bare.includes(':') ? `[${bare}]` : bare}:4739`;
}
