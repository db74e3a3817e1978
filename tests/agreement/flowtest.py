"""FlowTest's annotated captures (BSD-3): each YAML case names the biflows a probe must report, with their fields."""

from pathlib import Path

import yaml

from flows import Exporter, key, source
from table import Table

KEY = ["src_ip", "dst_ip", "src_port", "dst_port", "protocol"]
COUNTERS = {"packets": 0, "bytes": 1, "packets@rev": 2, "bytes@rev": 3}


def number(name):
    return lambda flow: flow.record.get(name)


def label(flow, name):
    """Their number is the element's 24 bits: label, class and bottom of stack."""
    section = flow.record.get(name)
    return None if section is None else int(section, 16)


FIELDS = {
    "ip_version": number("ipVersion"),
    "tcp_flags": number("tcpControlBits"),
    "tcp_flags@rev": number("reverseTcpControlBits"),
    "tos": number("ipClassOfService"),
    "tos@rev": number("reverseIpClassOfService"),
    "ttl": number("maximumTTL"),
    "ttl@rev": number("reverseMaximumTTL"),
    "vlan_id": number("dot1qVlanId"),
    "src_mac": number("sourceMacAddress"),
    "dst_mac": number("destinationMacAddress"),
    "vxlan_id": number("tunnelIdentifier"),
    "mpls_label_1": lambda flow: label(flow, "mplsTopLabelStackSection"),
    "mpls_label_1@rev": lambda flow: label(flow, "reverseMplsTopLabelStackSection"),
    "http_host": number("httpRequestHost"),
    "http_url": number("httpRequestTarget"),
    "http_method": number("httpRequestMethod"),
    "http_status_code": number("httpStatusCode"),
    "http_agent": number("httpUserAgent"),
    "http_content_type": number("httpContentType"),
    "tls_sni": number("tlsServerName"),
    "tls_server_version": number("tlsVersion"),
    "tls_cipher_suite": number("tlsCipherSuite"),
}


def compare(exporter: Exporter, folder: Path, table: Table) -> None:
    for path in sorted((folder / "validation").glob("*.yml")):
        case = yaml.safe_load(path.read_text())
        capture = folder / "pcap" / case["pcap"]
        table.case(path.stem)
        keys = case.get("key", KEY)
        for expected in merged(case["flows"], keys):
            compare_flow(exporter, capture, keys, expected, path.stem, table)


def merged(flows: list, keys: list) -> list:
    """Cases list the parts into which a timeout of theirs cut a biflow; ours is longer, so parts are added up."""
    by_key: dict = {}
    for flow in flows:
        known = by_key.setdefault(tuple(flow.get(name) for name in keys), dict(flow))
        if known != flow:
            known.update({name: known[name] + flow[name] for name in COUNTERS if name in flow and name in known})
    return list(by_key.values())


def compare_flow(exporter: Exporter, capture: Path, keys: list, expected: dict, case: str, table: Table) -> None:
    where = " ".join(str(expected.get(name)) for name in keys)
    ports = [expected.get("src_port", 0), expected.get("dst_port", 0)]
    wanted = key(expected["src_ip"], ports[0], expected["dst_ip"], ports[1], expected["protocol"])
    found = [flow for flow in exporter.flows(capture) if flow.key == wanted]
    table.compare(case, "biflow", where, 1, len(found))
    if not found:
        return
    flow = found[0]
    forward = source(expected["src_ip"], ports[0], expected["protocol"])
    counters = flow.counters(forward)
    is_turned = flow.source != forward
    for name, value in expected.items():
        if name in COUNTERS:
            table.compare(case, name, where, value, counters[COUNTERS[name]])
        elif name in FIELDS:
            turned = name.removesuffix("@rev") if name.endswith("@rev") else f"{name}@rev"
            look = FIELDS[turned] if is_turned and turned in FIELDS else FIELDS[name]
            found_value = look(flow)
            # A list holds the values that are right.
            right = value if isinstance(value, list) else [value]
            table.compare(case, name, where, found_value if found_value in right else value, found_value)
        elif name not in KEY:
            table.leave_out(f"`{name.split('@')[0]}`")
