// A made-up network for the mock: an office that browses, resolves names, backs up and pings; always the same one.

/** Small repeatable random numbers in [0, 1). */
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 4294967296;
  };
}

const SERVERS = [
  ['203.0.113.10', 443, 'www.example.com'],
  ['203.0.113.24', 443, 'files.example.net'],
  ['198.51.100.7', 443, 'mail.example.org'],
  ['2001:db8:51::80', 443, 'cdn.example.com'],
  ['192.0.2.53', 53, ''],
  ['2001:db8::53', 53, ''],
  ['198.51.100.20', 22, ''],
  ['192.0.2.9', 8080, ''],
];

export const HOSTILE = [
  '<img src=x onerror="window.hostile=1">',
  '<script>window.hostile=1</script>',
  'photo\u202egnp.exe',
  '" or src.ip = 0.0.0.0/0 or dns.qname = "',
  'a'.repeat(65536),
  'null\u0000byte\u001b[31mred\u200bzero\nline',
];

/** `count` flows up to `newest` (ms), over the 50 minutes before it. */
export function makeFlows(count, newest, hostile) {
  const next = random(7);
  const pick = (list) => list[Math.floor(next() ** 1.7 * list.length)];
  const flows = [];
  for (let index = 0; index < count; index += 1) {
    const wave = 0.5 + 0.5 * Math.sin(index / 180);
    const start = newest - 3_000_000 + (index / count) * 2_940_000 + next() * 20_000;
    const [server, port, name] = pick(SERVERS);
    const six = server.includes(':');
    const client = six
      ? `2001:db8:1::${(10 + Math.floor(next() ** 2 * 40)).toString(16)}`
      : `10.0.${Math.floor(next() * 3)}.${10 + Math.floor(next() ** 2 * 40)}`;
    const ping = next() < 0.03;
    const udp = port === 53;
    const proto = ping ? (six ? 58 : 1) : udp ? 17 : 6;
    const packets = udp || ping ? 1 : Math.ceil(4 + next() ** 4 * 900 * wave);
    const back = udp ? 1 : ping ? 1 : Math.ceil(packets * (0.8 + next() * 1.4));
    const ns = Math.round((udp ? 2e6 : 4e8) * (0.1 + next() * 12));
    const row = {
      _id: `p${index.toString(36)}`,
      start: new Date(start)
        .toISOString()
        .replace('Z', `${String(Math.floor(next() * 1000)).padStart(3, '0')}Z`),
      end: new Date(start + ns / 1e6).toISOString(),
      duration: ns,
      received: new Date(start + ns / 1e6 + 15_000).toISOString(),
      'src.ip': client,
      'dst.ip': server,
      proto,
      octets: packets * Math.round(52 + next() * 200),
      packets,
      'rev.octets': back * Math.round(60 + next() * 1300),
      'rev.packets': back,
      end_reason: pick([3, 1, 1, 2]),
      'exporter.ip': '127.0.0.1',
      'exporter.domain': 1,
      'src.mac': '02:00:5e:00:53:01',
      'dst.mac': '02:00:5e:00:53:fe',
      'in.if': 2,
      flowId: index,
      32473.77: '00ff17',
    };
    if (!ping) Object.assign(row, { 'src.port': 32768 + Math.floor(next() * 28000), 'dst.port': port });
    if (proto === 6) {
      const reset = next() < 0.05;
      Object.assign(row, {
        'tcp.flags': reset ? 0x16 : 0x1b,
        'rev.tcp.flags': reset ? 0x12 : 0x1b,
        'tcp.rtt.server': Math.round(4e6 + next() * 3e7),
      });
      if (name !== '') row['tls.sni'] = name;
    }
    if (udp) row['dns.qname'] = pick(SERVERS.map((entry) => entry[2]).filter(Boolean));
    if (hostile) {
      row['tls.sni'] = HOSTILE[index % HOSTILE.length];
      row.applicationName = HOSTILE[(index + 1) % HOSTILE.length];
    }
    flows.push({ row, start_ms: start, end_ms: start + ns / 1e6 });
  }
  return flows;
}
