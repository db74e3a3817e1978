"""Readers of the source formats. Each gives {id: element}, an element being a dict with the keys of tables.COLUMNS."""

import csv
import json
import re
import xml.etree.ElementTree as ET

IANA_NS = "{http://www.iana.org/assignments}"
CERT_NS = "{http://www.cert.org/ipfix}"

TYPES = """octetArray unsigned8 unsigned16 unsigned32 unsigned64 signed8 signed16 signed32 signed64 float32 float64
boolean macAddress string dateTimeSeconds dateTimeMilliseconds dateTimeMicroseconds dateTimeNanoseconds ipv4Address
ipv6Address basicList subTemplateList subTemplateMultiList unsigned256""".split()
SEMANTICS = "default quantity totalCounter deltaCounter identifier flags list snmpCounter snmpGauge".split()
UNITS = """none bits octets packets flows seconds milliseconds microseconds nanoseconds messages hops entries frames
ports inferred""".split() + ["4-octet words"]


def spelled(text, names, where):
    """The registry's spelling of a name that may differ in case; a unit or type that it does not have stops us."""
    text = " ".join((text or "").split())
    if not text:
        return ""
    for name in names:
        if name.lower() == text.lower():
            return name
    raise SystemExit(f"{where}: {text!r} is none of {', '.join(names)}")


def identifier(name):
    """A name as one word: `Transport RTP SSRC` becomes transportRtpSsrc; a name that is one word stays."""
    name = name.strip()
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        return name
    words = re.findall(r"[A-Za-z0-9]+", name)
    mixed = re.compile(r"[a-z].*[A-Z]|[A-Z].*[a-z]")
    parts = [w if mixed.search(w) else w.capitalize() for w in words]
    parts[0] = parts[0][0].lower() + parts[0][1:]
    return "".join(parts)


def registry_xml(path, pen):
    """IANA's XML form, also used by CERT, NetGauze and others."""
    elements = {}
    for record in ET.parse(path).getroot().iter(IANA_NS + "record"):
        text = lambda tag: " ".join((record.findtext(tag) or "").split())  # noqa: E731
        number = int(text(IANA_NS + "elementId"))
        where = f"{path} {number}"
        elements[number] = {
            "pen": pen,
            "id": number,
            "name": identifier(text(IANA_NS + "name")),
            "type": spelled(text(IANA_NS + "dataType"), TYPES, where),
            "semantics": spelled(text(IANA_NS + "dataTypeSemantics"), SEMANTICS, where),
            "units": spelled(text(IANA_NS + "units"), UNITS, where),
            "status": text(IANA_NS + "status"),
            "range": text(IANA_NS + "range"),
            "reversible": text(CERT_NS + "reversible"),
        }
    return elements


def libfds_xml(path, pen):
    elements = {}
    for element in ET.parse(path).getroot().iter("element"):
        text = lambda tag: " ".join((element.findtext(tag) or "").split())  # noqa: E731
        number = int(text("id"))
        where = f"{path} {number}"
        elements[number] = {
            "pen": pen,
            "id": number,
            "name": identifier(text("name")),
            "type": spelled(text("dataType"), TYPES, where),
            "semantics": spelled(text("dataSemantics"), SEMANTICS, where),
            "units": spelled(text("units"), UNITS, where),
            "status": text("status") or "current",
        }
    return elements


LOGSTASH_TYPES = {
    "uint8": "unsigned8",
    "uint15": "unsigned16",  # a slip in the source
    "uint16": "unsigned16",
    "uint32": "unsigned32",
    "uint64": "unsigned64",
    "int8": "signed8",
    "int32": "signed32",
    "string": "string",
    "ip4_addr": "ipv4Address",
    "ip6_addr": "ipv6Address",
    "mac_addr": "macAddress",
    "float": "float32",
    "double": "float64",
    "octetarray": "octetArray",
    "acl_id_asa": "octetArray",
    "1": "unsigned8",
    "2": "unsigned16",
    "4": "unsigned32",
    "8": "unsigned64",
}


def logstash_yaml(path):
    """{pen: {id: element}} of the two-level file, {None: {..}} of the one-level NetFlow v9 file."""
    pens, pen, number, values = {}, None, None, []
    one_level = "netflow9" in path.name

    def close():
        if number is None or len(values) < 2:
            return
        kind, name = values[0], values[1]
        if kind not in LOGSTASH_TYPES:
            return
        pens.setdefault(pen, {})[number] = {
            "pen": pen,
            "id": number,
            "name": identifier(name),
            "type": LOGSTASH_TYPES[kind],
            "status": "current",
        }

    for line in path.read_text(encoding="utf-8").splitlines():
        key = re.match(r"( *)(\d+):$", line)
        item = re.match(r" *- :?(\S+)", line)
        if key:
            close()
            values = []
            if key[1] == "" and not one_level:
                pen, number = int(key[2]), None
            else:
                number = int(key[2])
        elif item:
            values.append(item[1])
    close()
    return pens


def antrea_csv(path, pen):
    elements = {}
    with open(path, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            number = int(row["ElementID"])
            where = f"{path} {number}"
            elements[number] = {
                "pen": pen,
                "id": number,
                "name": identifier(row["Name"]),
                "type": spelled(row["Abstract Data Type"], TYPES, where),
                "semantics": spelled(row["Data Type Semantics"], SEMANTICS, where),
                "units": spelled(row["Units"], UNITS, where),
                "status": row["Status"],
            }
    return elements


def ixflow_json(path, pen):
    document = json.loads(path.read_text(encoding="utf-8"))
    return {
        e["element_id"]: {
            "pen": pen,
            "id": e["element_id"],
            "name": identifier(e["name"]),
            "type": spelled(e["data_type"], TYPES, str(path)),
            "status": "current",
        }
        for e in document["information_elements"]
    }


NPROBE_LINE = re.compile(r"\[NFv9 (\d+)\]\[IPFIX (\d+)\.(\d+)\]\[Len (\d+)( varlen)?\] %(\w+)")


def nprobe_rst(path, pen):
    """nProbe's manual gives names, numbers and default lengths, but types only where the length is variable."""
    elements = {}
    for _, source_pen, number, _, variable, name in NPROBE_LINE.findall(path.read_text(encoding="utf-8")):
        if int(source_pen) == pen:
            kind = "string" if variable else ""
            elements[int(number)] = {
                "pen": pen, "id": int(number), "name": name, "type": kind, "status": "current",
            }
    return elements


FIELD_TYPES = {
    "FT_UINT8": "unsigned8",
    "FT_UINT16": "unsigned16",
    "FT_UINT24": "unsigned32",
    "FT_UINT32": "unsigned32",
    "FT_UINT64": "unsigned64",
    "FT_INT32": "signed32",
    "FT_FLOAT": "float32",
    "FT_DOUBLE": "float64",
    "FT_BOOLEAN": "boolean",
    "FT_STRING": "string",
    "FT_BYTES": "octetArray",
    "FT_IPv4": "ipv4Address",
    "FT_IPv6": "ipv6Address",
    "FT_ETHER": "macAddress",
    # tshark reads the times of these vendors as seconds since 1970 in four octets.
    "FT_ABSOLUTE_TIME": "dateTimeSeconds",
}


def tshark_fields(path):
    """{vendor word: {plain name: type}} from tshark's list of its own fields."""
    plain = lambda s: re.sub(r"[^a-z0-9]", "", s.lower())  # noqa: E731
    vendors = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        label, field, kind = (line.split("\t") + ["", "", ""])[:3]
        parts = field.split(".", 3)
        if len(parts) < 4 or parts[:2] != ["cflow", "pie"] or kind not in FIELD_TYPES:
            continue
        known = vendors.setdefault(parts[2].replace("ciso", "cisco"), {})
        known.setdefault(plain(parts[3]), FIELD_TYPES[kind])
        known.setdefault(plain(label), FIELD_TYPES[kind])
    return vendors


def tshark_tsv(path, pen, fields):
    """Numbers and names; the type is that of tshark's field of the same name, empty where there is none."""
    elements = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        number, name = line.split("\t")[:2]
        elements[int(number)] = {
            "pen": pen,
            "id": int(number),
            "name": identifier(name),
            "type": fields.get(re.sub(r"[^a-z0-9]", "", name.lower()), ""),
            "status": "current",
        }
    return elements
