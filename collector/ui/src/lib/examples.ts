// The filter language by example. Each is asked of a collector in the page's stories, so none can be wrong for long.

export interface Example {
  filter: string;
  means: string;
}

export interface Chapter {
  title: string;
  text: string;
  examples: readonly Example[];
}

export const CHAPTERS: readonly Chapter[] = [
  {
    title: 'Comparisons',
    text: 'A column, an operator, a value. All columns are listed under “Columns and elements”; an element that no column takes goes by its own name.',
    examples: [
      { filter: 'src.ip = 192.0.2.11', means: 'one address' },
      { filter: 'src.ip in 192.0.2.0/24', means: 'a network; = takes one as well' },
      { filter: 'dst.port in (53, 443)', means: 'one of several values' },
      { filter: 'proto != udp', means: 'any other protocol' },
      { filter: 'octets > 10k', means: 'more than that: < <= > >= compare sizes' },
      { filter: 'octets > rev.octets', means: 'column against column: who sends more than it gets' },
      { filter: 'vlan exists', means: 'has a value at all' },
      { filter: 'not rev.packets exists', means: 'nothing came back' },
    ],
  },
  {
    title: 'And, or, not',
    text: 'Words or signs, in any case. “and” binds closer than “or”; parentheses as usual.',
    examples: [
      { filter: 'proto = tcp and dst.port = 443', means: 'both' },
      { filter: 'port 53 or port 22', means: 'one of them' },
      { filter: 'not (port 53 or port 443)', means: 'neither' },
      { filter: 'tcp && !(dst.port = 443)', means: 'the same with signs' },
    ],
  },
  {
    title: 'Short words',
    text: 'As in tcpdump and nfdump. “src” and “dst” narrow them to one end; without, either end will do.',
    examples: [
      { filter: 'host 192.0.2.11', means: 'an address at either end; it may stand alone, too' },
      { filter: 'net 192.0.2.0/24', means: 'a network at either end' },
      { filter: 'src host 192.0.2.66', means: 'at the source' },
      { filter: 'dst port 443', means: 'at the destination' },
      { filter: 'portrange 8000-8010', means: 'a range of ports' },
      { filter: 'icmp6', means: 'a protocol: tcp, udp, icmp, sctp, gre, esp, ..' },
      { filter: 'ip6', means: 'a version of IP' },
      { filter: 'as 64496', means: 'an autonomous system at either end' },
    ],
  },
  {
    title: 'Values',
    text: 'Multiples by 1000 (k M G T) or 1024 (Ki Mi Gi Ti). Durations have their unit, times are RFC 3339 or now-1h, numbers with names go by name.',
    examples: [
      { filter: 'octets > 1.5Mi', means: 'multiples' },
      { filter: 'duration > 1m30s', means: 'a duration' },
      { filter: 'start >= now-10m', means: 'a time' },
      { filter: 'end_reason = idleTimeout', means: 'a number by its name' },
      { filter: 'tcp.flags = S', means: 'a SYN and nothing else, ever: a scan' },
      { filter: 'tcp.flags ~ R', means: 'a RST among others' },
    ],
  },
  {
    title: 'Text',
    text: '= compares whole texts. ~ takes a part whatever its case, with * or ? a pattern for all of it, between slashes a regular expression.',
    examples: [
      { filter: 'dns.qname = "www.example.com"', means: 'this name' },
      { filter: 'dns.qname ~ "*.example.com"', means: 'a pattern' },
      { filter: 'tls.sni ~ /^(www|mail)\\./', means: 'a regular expression' },
      { filter: 'example', means: 'a bare word looks for itself in all texts' },
    ],
  },
  {
    title: 'DNS, TCP and devices',
    text: 'DNS transactions are rows of their own, read when a question names what they have.',
    examples: [
      { filter: 'dns.rcode = NXDOMAIN', means: 'names that do not exist' },
      { filter: 'dns.latency > 200ms', means: 'slow answers' },
      { filter: 'dns.status = unanswered', means: 'queries that nobody answered' },
      { filter: 'tcp.rtt.server >= 20ms', means: 'far away servers' },
      { filter: 'tcp.retransmits > 0', means: 'packets were sent again' },
      { filter: 'tcp.blackholed = true', means: 'data went without an answer' },
      { filter: 'kind = counters', means: 'counters of devices (sFlow)' },
    ],
  },
  {
    title: 'What is absent',
    text: 'A flow without a value answers no to every comparison with it, to != too. “not” takes the others in.',
    examples: [
      { filter: 'rev.packets != 3', means: 'answered, not by three packets' },
      { filter: 'not rev.packets = 3', means: 'also those without an answer' },
    ],
  },
];
