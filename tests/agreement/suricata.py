"""suricata-verify (GPL-2, read in place): counts of flow, tls, quic and http events with given fields. Suricata counts
frames, so octets are not compared."""

from pathlib import Path

import yaml

from flows import PROTOCOLS, Exporter, Flow
from ipaddress import ip_address
from table import Table


def same_address(side):
    return lambda flow, value: ip_address(flow.end(side)).exploded == ip_address(value).exploded


FLOW = {
    "src_ip": same_address("source"),
    "dest_ip": same_address("destination"),
    "src_port": lambda flow, value: flow.ports[0] == value,
    "dest_port": lambda flow, value: flow.ports[1] == value,
    "proto": lambda flow, value: flow.protocol == PROTOCOLS.get(str(value).upper(), value),
    "flow.pkts_toserver": lambda flow, value: flow.record["packetDeltaCount"] == value,
    "flow.pkts_toclient": lambda flow, value: flow.record.get("reversePacketDeltaCount", 0) == value,
    "icmp_type": lambda flow, value: icmp(flow)[0] == value,
    "icmp_code": lambda flow, value: icmp(flow)[1] == value,
    "vlan": lambda flow, value: vlans(flow) == value[:2],
    "vlan[0]": lambda flow, value: vlans(flow)[:1] == [value],
    "tcp.tcp_flags": lambda flow, value: f"{(flow.record.get('tcpControlBits', 0) | flow.record.get('reverseTcpControlBits', 0)) & 0xff:02x}" == value,
    "tcp.tcp_flags_ts": lambda flow, value: f"{flow.record.get('tcpControlBits', 0) & 0xff:02x}" == value,
    "tcp.tcp_flags_tc": lambda flow, value: f"{flow.record.get('reverseTcpControlBits', 0) & 0xff:02x}" == value,
    "tls.sni": lambda flow, value: flow.record.get("tlsServerName") == value,
    "quic.sni": lambda flow, value: flow.record.get("tlsServerName") == value,
    "quic.ja4": lambda flow, value: flow.record.get("tlsClientFingerprintJa4") == value,
    "tls.ja4": lambda flow, value: flow.record.get("tlsClientFingerprintJa4") == value,
    "quic.version": lambda flow, value: flow.record.get("quicVersion") == {"1": 1}.get(str(value), value),
    "http.hostname": lambda flow, value: flow.record.get("httpRequestHost") == value,
    "http.url": lambda flow, value: flow.record.get("httpRequestTarget") == value,
    "http.http_method": lambda flow, value: flow.record.get("httpRequestMethod") == value,
    "http.status": lambda flow, value: flow.record.get("httpStatusCode") == value,
    "http.http_user_agent": lambda flow, value: flow.record.get("httpUserAgent") == value,
    "ssh.client.software_version": lambda flow, value: value in flow.record.get("sshClientVersion", ""),
    "ssh.server.software_version": lambda flow, value: value in flow.record.get("sshServerVersion", ""),
}
IGNORED = {"event_type", "flow.state", "flow.reason", "flow.age", "flow.alerted", "flow.bytes_toserver", "flow.bytes_toclient", "response_icmp_type", "response_icmp_code", "ip_v", "pkt_src"}
EVENTS = {"flow": lambda flow: True, "tls": lambda flow: flow.record.get("tlsVersion") is not None and flow.protocol == 6, "quic": lambda flow: flow.record.get("quicVersion") is not None}


def icmp(flow: Flow) -> tuple:
    both = flow.record.get("icmpTypeCodeIPv4", flow.record.get("icmpTypeCodeIPv6", 0))
    return both >> 8, both & 0xFF


def vlans(flow: Flow) -> list:
    tags = [flow.record.get("dot1qVlanId"), flow.record.get("dot1qCustomerVlanId")]
    return [tag for tag in tags if tag]


def compare(exporter: Exporter, folder: Path, table: Table) -> None:
    for path in sorted(folder.glob("*/test.yaml")):
        capture = next((path.parent / name for name in ("input.pcap", "input.pcapng") if (path.parent / name).exists()), None)
        capture = capture or next(iter(sorted(path.parent.glob("*.pcap*"))), None)
        if capture is None:
            table.leave_out("cases without a capture")
            continue
        for place, check in enumerate(yaml.safe_load(path.read_text()).get("checks") or []):
            compare_check(exporter, capture, (check or {}).get("filter"), f"check {place + 1}", path.parent.name, table)


def compare_check(exporter: Exporter, capture: Path, check: dict | None, where: str, case: str, table: Table) -> None:
    match = (check or {}).get("match") or {}
    event = match.get("event_type")
    if event not in EVENTS:
        table.leave_out("checks of other events than flow, tls and quic")
        return
    asked = {name: value for name, value in match.items() if name not in IGNORED}
    unknown = [name for name in asked if name not in FLOW]
    if unknown or not asked:
        table.leave_out("checks of fields that flow records do not have")
        return
    found = [flow for flow in exporter.flows(capture) if EVENTS[event](flow) and all(FLOW[name](flow, value) for name, value in asked.items())]
    table.compare(case, f"{event}: {', '.join(sorted(asked))}", where, check.get("count"), len(found))
