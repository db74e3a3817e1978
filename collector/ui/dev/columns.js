// The mock's columns: name, kind, unit, help, codes.
const column = (name, kind, help, unit = '', codes = null, elements = []) => ({
  name,
  kind,
  unit,
  help,
  indexed: false,
  elements,
  codes,
});

export const COLUMNS = [
  column('start', 'time', 'when the first packet was seen', '', null, [
    'flowStartNanoseconds',
    'flowStartMilliseconds',
  ]),
  column('end', 'time', 'when the last packet was seen', '', null, [
    'flowEndNanoseconds',
    'flowEndMilliseconds',
  ]),
  column('duration', 'duration', 'end minus start', 'ns'),
  column('received', 'time', 'when the collector received the record'),
  column('src.ip', 'ip', 'source address', '', null, ['sourceIPv4Address', 'sourceIPv6Address']),
  column('dst.ip', 'ip', 'destination address', '', null, [
    'destinationIPv4Address',
    'destinationIPv6Address',
  ]),
  column('src.port', 'number', 'source port', '', null, ['sourceTransportPort']),
  column('dst.port', 'number', 'destination port', '', null, ['destinationTransportPort']),
  column('proto', 'number', 'IP protocol', '', { 1: 'icmp', 6: 'tcp', 17: 'udp', 58: 'icmp6' }, [
    'protocolIdentifier',
  ]),
  column('octets', 'number', 'octets from source to destination', 'octets', null, ['octetDeltaCount']),
  column('packets', 'number', 'packets from source to destination', 'packets', null, ['packetDeltaCount']),
  column('rev.octets', 'number', 'octets from destination to source', 'octets', null, [
    'reverseOctetDeltaCount',
  ]),
  column('rev.packets', 'number', 'packets from destination to source', 'packets', null, [
    'reversePacketDeltaCount',
  ]),
  column('tcp.flags', 'number', 'TCP flags seen from the source, or-ed', '', null, ['tcpControlBits']),
  column('rev.tcp.flags', 'number', 'TCP flags seen from the destination, or-ed'),
  column('end_reason', 'number', 'why the flow record ended', '', {
    1: 'idleTimeout',
    2: 'activeTimeout',
    3: 'endOfFlow',
    4: 'forcedEnd',
    5: 'lackOfResources',
  }),
  column('exporter.ip', 'ip', 'address the record came from'),
  column('exporter.domain', 'number', 'observation domain of the exporter'),
  column('src.mac', 'mac', 'source MAC address'),
  column('dst.mac', 'mac', 'destination MAC address'),
  column('in.if', 'number', 'index of the interface the packets came in by'),
  column('tcp.rtt.server', 'duration', 'handshake round trip on the server’s side', 'ns'),
  column('dns.qname', 'text', 'name asked for'),
  column('tls.sni', 'text', 'server name the client asked for'),
];
