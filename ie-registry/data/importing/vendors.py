"""The vendors' tables: which sources each is made from, and how sources that know the same element are merged."""

from . import readers, tables

NETFLOW9_PEN = 0xFFFFFFFF
"""Stands for NetFlow v9 field types that are neither IANA's nor an enterprise's; the id is the field type itself."""
NTOP_OFFSET = 57472
"""nProbe's element n of enterprise 35632 is NetFlow v9 field type 57472 + n."""
FASTIP_OFFSET = 33610
"""FastIP's element n of enterprise 33610 is NetFlow v9 field type 33610 + n."""
CISCO_OFFSET = 32768
"""Cisco's element n is NetFlow v9 field type 32768 + n."""

# Enterprise numbers of logstash's file for which no better source exists.
LOGSTASH_ONLY = {9789: "astaro", 12326: "phion", 15397: "procera", 21373: "netfilter", 41916: "viptela"}


def first_wins(*sources):
    """The first source that names an element defines it; the type comes from the first that knows one."""
    merged = {}
    for source in sources:
        for number, element in source.items():
            held = merged.setdefault(number, dict(element))
            if not held.get("type"):
                held["type"] = element.get("type", "")
    return merged


def without_reverse(source):
    """CERT's numbers from 0x4000 up are made by build.rs from the forward elements."""
    return {number: e for number, e in source.items() if not number & 0x4000}


def renumbered(source, pen, offset=0):
    return {n - offset: {**e, "pen": pen, "id": n - offset} for n, e in source.items()}


def sized_by_manual(elements, path):
    """nProbe's manual gives a length where it gives no type; where its integers are larger than tshark's, it is right."""
    kinds = {1: "unsigned8", 2: "unsigned16", 4: "unsigned32", 8: "unsigned64", 16: "string"}
    sizes = {kind: size for size, kind in kinds.items() if kind != "string"}
    lengths = {int(m[2]): int(m[3]) for m in readers.NPROBE_LINE.findall(path.read_text(encoding="utf-8"))}
    sized = {}
    for number, element in elements.items():
        kind, length = element["type"], lengths.get(number, 0)
        if not kind or length > sizes.get(kind, length):
            kind = kinds.get(length, kind)
        sized[number] = {**element, "type": kind}
    return sized


def apply_types(elements, types):
    for (pen, number), kind in types.items():
        element = elements.get(number)
        if element and element["pen"] == pen and not element["type"]:
            element["type"] = kind
    for element in elements.values():
        element["type"] = element["type"] or "octetArray"


def netflow9(tshark, logstash, libfds, fastip):
    """Splits NetFlow v9's own field types into Cisco's elements and those that only NetFlow v9 has."""
    named = first_wins(libfds, logstash, tshark)
    cisco, own = {}, {}
    for number, element in named.items():
        if number in range(33610, 33637):
            kind = fastip.get(number - FASTIP_OFFSET, {}).get("type", "")
            own[number] = {**element, "pen": NETFLOW9_PEN, "type": kind}
        elif number in (56701, 56702):  # Palo Alto's
            own[number] = {**element, "pen": NETFLOW9_PEN}
        elif number >= CISCO_OFFSET:
            cisco[number - CISCO_OFFSET] = {**element, "pen": 9, "id": number - CISCO_OFFSET}
        else:
            own[number] = {**element, "pen": NETFLOW9_PEN}
    return cisco, own


def write(source, target, rules):
    vendor = source / "vendor"
    libfds = lambda name, pen: readers.libfds_xml(vendor / f"libfds/{name}.xml", pen)  # noqa: E731
    logstash = readers.logstash_yaml(vendor / "logstash-ipfix-vendors.yaml")
    fields = readers.tshark_fields(vendor / "tshark/_cflow-fields.tsv")
    tshark = lambda name, pen, word: readers.tshark_tsv(vendor / f"tshark/{name}.tsv", pen, fields.get(word, {}))  # noqa: E731
    xml = lambda name, pen: readers.registry_xml(vendor / f"{name}.xml", pen)  # noqa: E731

    types = {(int(r["pen"]), int(r["id"])): r["type"] for r in tables.read(rules / "types.csv")}
    iana = {int(r["id"]) for r in tables.read(target / "iana-ipfix.csv") if r["id"].isdigit()}
    v10 = tshark("ipfix-v10", NETFLOW9_PEN, None)
    beyond_iana = {
        n: e for n, e in v10.items() if n not in iana and n > 533 and not NTOP_OFFSET <= n
    }
    logstash9 = {
        n: e
        for n, e in readers.logstash_yaml(vendor / "logstash-netflow9.yaml")[None].items()
        if n > 533 and n < NTOP_OFFSET
    }
    libfds9 = {n: e for n, e in libfds("netflow", NETFLOW9_PEN).items() if n > 533}
    fastip = tshark("fastip-nonIANA", 33610, "fastip")
    apply_types(fastip, types)
    cisco9, own9 = netflow9(beyond_iana, logstash9, libfds9, fastip)
    extra = libfds("netflowExtra", 9)

    nprobe = vendor / "ntop-35632-nprobe.rst"
    ntop = first_wins(
        {n: e for n, e in readers.nprobe_rst(nprobe, 35632).items()}, tshark("ntop-35632", 35632, "ntop")
    )

    vendors = [
        ("cert-6871", "cert-6871-*.xml, libfds/cert.xml, logstash", first_wins(
            xml("cert-6871-cert", 6871), xml("cert-6871-yaf_dhcp", 6871), xml("cert-6871-yaf_dpi", 6871),
            without_reverse(libfds("cert", 6871)), without_reverse(logstash[6871]))),
        ("ntop-35632", "ntop-35632-nprobe.rst, tshark", sized_by_manual(ntop, nprobe)),
        ("cisco-9", "libfds/cisco.xml, libfds/netflowExtra.xml, tshark, logstash", first_wins(
            libfds("cisco", 9), extra, tshark("cisco-9", 9, "cisco"), cisco9, logstash[9])),
        ("netscaler-5951", "libfds/netscaler.xml, tshark, logstash", first_wins(
            libfds("netscaler", 5951), tshark("netscaler-5951", 5951, "netscaler"), logstash[5951])),
        ("vmware-6876", "vmware-6876.xml, libfds/vmware.xml, logstash", first_wins(
            xml("vmware-6876", 6876), libfds("vmware", 6876), logstash[6876])),
        ("nokia-637", "nokia-637.xml, logstash", first_wins(xml("nokia-637", 637), logstash[637])),
        ("huawei-2011", "huawei-2011.xml", xml("huawei-2011", 2011)),
        ("antrea-56506", "antrea-56506.csv", readers.antrea_csv(vendor / "antrea-56506.csv", 56506)),
        ("ixia-3054", "ixia-3054-ixflow.json, tshark, logstash", first_wins(
            readers.ixflow_json(vendor / "ixia-3054-ixflow.json", 3054),
            tshark("ixia-3054", 3054, "ixia"), logstash[3054])),
        ("barracuda-10704", "tshark, logstash", first_wins(
            logstash[10704], tshark("barracuda-10704", 10704, "barracuda"))),
        ("gigamon-26866", "tshark, logstash", first_wins(
            tshark("gigamon-26866", 26866, "gigamon"), logstash[26866])),
        ("niagara-47729", "tshark", tshark("niagara_networks-47729", 47729, "niagaranetworks")),
        ("plixer-13745", "tshark", tshark("plixer-13745", 13745, "plixer")),
        ("fastip-33610", "tshark", fastip),
        ("cesnet-8057", "libfds/cesnet.xml", libfds("cesnet", 8057)),
        ("flowmon-39499", "libfds/flowmon.xml", libfds("flowmon", 39499)),
        ("muni-16982", "libfds/muni.xml", libfds("muni", 16982)),
        ("netflow9", "tshark/ipfix-v10.tsv, logstash-netflow9.yaml, libfds/netflow.xml", own9),
    ]
    for pen, name in LOGSTASH_ONLY.items():
        vendors.append((f"{name}-{pen}", "logstash", logstash[pen]))

    names = {(int(r["pen"]), int(r["id"])): r["name"] for r in tables.read(rules / "names.csv")}
    for name, sources, elements in vendors:
        apply_types(elements, types)
        for (pen, number), better in names.items():
            if elements.get(number, {}).get("pen") == pen:
                elements[number]["name"] = better
        comments = [f"Sources: vendor/{sources}."]
        if name == "netflow9":
            comments.append("NetFlow v9 field types that IPFIX does not have; pen 4294967295 stands for NetFlow v9.")
        tables.write_elements(target / f"{name}.csv", comments, [elements[n] for n in sorted(elements)])

