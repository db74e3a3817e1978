"""Code lists: the sub-registries of IANA's files and tshark's value tables. One CSV a list, `code,label`."""

import re
import xml.etree.ElementTree as ET

from . import tables
from .readers import IANA_NS

# our name: (file, id of the sub-registry)
IANA_LISTS = {
    "mpls-label-type": ("ipfix", "ipfix-mpls-label-type"),
    "classification-engine": ("ipfix", "classification-engine-ids"),
    "flow-end-reason": ("ipfix", "ipfix-flow-end-reason"),
    "nat-originating-address-realm": ("ipfix", "ipfix-nat-originating-address-realm"),
    "nat-event": ("ipfix", "ipfix-nat-event-type"),
    "firewall-event": ("ipfix", "ipfix-firewall-event"),
    "biflow-direction": ("ipfix", "ipfix-biflow-direction"),
    "observation-point-type": ("ipfix", "ipfix-observation-point-type"),
    "anonymization-technique": ("ipfix", "ipfix-anonymization-technique"),
    "nat-type": ("ipfix", "ipfix-nat-type"),
    "value-distribution-method": ("ipfix", "ipfix-value-distribution-method"),
    "flow-selector-algorithm": ("ipfix", "ipfix-flowselectoralgorithm"),
    "data-link-frame-type": ("ipfix", "ipfix-data-link-frame-type"),
    "mib-capture-time-semantics": ("ipfix", "ipfix-mib-capture-time-semantics"),
    "nat-quota-exceeded-event": ("ipfix", "ipfix-nat-quota-exceeded-event"),
    "nat-threshold-event": ("ipfix", "ipfix-nat-threshold-event"),
    "srh-segment-type": ("ipfix", "ipfix-ipv6-srh-segment-type"),
    "data-type": ("ipfix", "ipfix-information-element-data-types"),
    "semantics": ("ipfix", "ipfix-information-element-semantics"),
    "units": ("ipfix", "ipfix-information-element-units"),
    "list-semantics": ("ipfix", "ipfix-structured-data-types-semantics"),
    "selector-algorithm": ("iana_psamp_parameters", "psamp-parameters-1"),
    "flow-direction": ("iana_flow_direction", "ipfix-flow-direction"),
    "srv6-endpoint-behavior": ("iana_segment_routing", "srv6-endpoint-behaviors"),
    "protocol": ("iana_protocol_numbers", "protocol-numbers-1"),
}

# Where the registry has a sentence instead of a name, or names two codes alike.
BETTER_LABELS = {
    ("classification-engine", 21): "Qosmos ixEngine",
    ("classification-engine", 22): "ntop nDPI",
    ("nat-originating-address-realm", 2): "Public",
}

# our name: file of dns-tls or vendor/tshark
TSHARK_LISTS = {
    "dns-type": "dns-tls/dns.qry.type.tsv",
    "dns-class": "dns-tls/dns.qry.class.tsv",
    "ether-type": "dns-tls/eth.type.tsv",
    "icmp-type-ipv6": "dns-tls/icmpv6.type.tsv",
    "tcp-option-kind": "dns-tls/tcp.option_kind.tsv",
    "tls-version": "dns-tls/tls.handshake.version.tsv",
    "tls-cipher-suite": "dns-tls/tls.handshake.ciphersuite.tsv",
    "tls-extension": "dns-tls/tls.handshake.extension.type.tsv",
    "tls-group": "dns-tls/tls.handshake.extensions_supported_group.tsv",
    "tls-signature-scheme": "dns-tls/tls.handshake.sig_hash_alg.tsv",
    "tls-alert": "dns-tls/tls.alert_message.desc.tsv",
    "quic-version": "dns-tls/quic.version.tsv",
    "cisco-firewall-event-extended": "vendor/tshark/_fw_ext_event.tsv",
}

NO_NAME = re.compile(r"(unassigned|reserved|not used|unused)\b", re.IGNORECASE)


def number(text):
    """A single code: 12, 0x0c; None for ranges, letters and bit patterns."""
    try:
        return int(text, 0)
    except ValueError:
        return None


def short(label):
    label = " ".join((label or "").split())
    head = label.split(": ")[0]
    return head.removesuffix(".").removesuffix(" (deprecated)")


def registry(source, file, name):
    root = ET.parse(source / f"iana/{file}.xml").getroot()
    return next(r for r in root.iter(IANA_NS + "registry") if r.get("id") == name)


def iana_list(source, name):
    codes = {}
    for record in registry(source, *IANA_LISTS[name]).findall(IANA_NS + "record"):
        text = lambda tag: record.findtext(IANA_NS + tag) or ""  # noqa: E731
        code = number(text("value") or text("id"))
        if code is None:
            continue
        has_name = record.find(IANA_NS + "name") is not None
        label = BETTER_LABELS.get((name, code)) or short(text("name") if has_name else text("description"))
        if label and not NO_NAME.match(label):
            codes.setdefault(code, label)
    return codes


def forwarding_status(source):
    """Two bits of status and six of reason; a label names both."""
    top = registry(source, "ipfix", "forwarding-status")
    codes = {0: "Unknown"}
    for bits, status in (("01b", "Forwarded"), ("10b", "Dropped"), ("11b", "Consumed")):
        reasons = next(r for r in top.iter(IANA_NS + "registry") if r.get("id") == f"forwarding-status-{bits}")
        for record in reasons.findall(IANA_NS + "record"):
            code = number(record.findtext(IANA_NS + "value"))
            if code is not None:
                codes[code] = f"{status}: {short(record.findtext(IANA_NS + 'description'))}"
    return codes


def ipv6_extension_headers(source):
    """The registry numbers bits; our lists for flags have masks."""
    codes = {}
    for record in registry(source, "ipfix", "ipfix-ipv6extensionheaders-bits").findall(IANA_NS + "record"):
        bit, label = number(record.findtext(IANA_NS + "value")), record.findtext(IANA_NS + "label")
        if bit is not None and label:
            codes[1 << bit] = label
    return codes


def tshark_list(source, name):
    codes = {}
    for line in (source / TSHARK_LISTS[name]).read_text(encoding="utf-8").splitlines():
        cells = line.split("\t")
        if name == "quic-version":
            if cells[0] != cells[1]:
                continue
            label = f"v{cells[2]}" if cells[2].isdigit() else cells[2]
        elif name == "dns-type":
            label = {"10": "NULL", "255": "ANY"}.get(cells[0], cells[1].split(" (")[0])
        else:
            label = cells[1]
        label = " ".join(label.split())
        if label and not NO_NAME.match(label):
            codes.setdefault(int(cells[0], 0), label)
    return codes


def write(source, target):
    lists = {name: (iana_list(source, name), f"iana/{IANA_LISTS[name][0]}.xml") for name in IANA_LISTS}
    lists["forwarding-status"] = (forwarding_status(source), "iana/ipfix.xml")
    lists["ipv6-extension-headers"] = (ipv6_extension_headers(source), "iana/ipfix.xml; the codes are bit masks")
    lists |= {name: (tshark_list(source, name), TSHARK_LISTS[name]) for name in TSHARK_LISTS}
    for name, (codes, origin) in lists.items():
        rows = sorted(codes.items())
        tables.write(target / f"codes/{name}.csv", [f"Source: {origin}."], ["code", "label"], rows)
