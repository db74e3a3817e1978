"""IANA's IPFIX registry (ipfix.xml): the elements."""

import xml.etree.ElementTree as ET

from . import tables

NS = "{http://www.iana.org/assignments}"


def text(record, tag):
    return " ".join((record.findtext(NS + tag) or "").split())


def first_number(element_id):
    return int(element_id.split("-")[0])


def write(source, target):
    root = ET.parse(source / "iana/ipfix.xml").getroot()
    registry = next(r for r in root.iter(NS + "registry") if r.get("id") == "ipfix-information-elements")
    elements = []
    for record in registry.findall(NS + "record"):
        elements.append(
            {
                "pen": 0,
                "id": text(record, "elementId"),
                "name": text(record, "name"),
                "type": text(record, "dataType"),
                "semantics": text(record, "dataTypeSemantics"),
                "units": text(record, "units"),
                "status": text(record, "status"),
                "range": text(record, "range"),
            }
        )
    elements.sort(key=lambda e: first_number(e["id"]))
    tables.write_elements(
        target / "iana-ipfix.csv",
        [
            "IANA's IPFIX information elements; source: iana/ipfix.xml.",
            "Rows without a type are numbers that the registry reserves or leaves unassigned.",
            "date: " + text(root, "updated"),
        ],
        elements,
    )
