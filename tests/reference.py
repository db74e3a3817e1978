"""Makes the pages of docs/reference/ from what tests/reference.sh has gathered. Run that, not this."""

import json
import os
import re
import subprocess
from pathlib import Path

work = Path(os.environ["work"])
out = Path(os.environ["out"])
programs = Path(os.environ["programs"])
MADE = "<!-- Made by tests/reference.sh from what the programs say; change those, or the script, and run it again. -->\n"


def ndjson(name):
    return [json.loads(line) for line in (work / name).read_text().splitlines()]


def cell(text):
    return str(text).replace("|", "\\|")


def code(text):
    return f"`{cell(text)}`" if text != "" else ""


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def page(name, *parts):
    (out / name).write_text(MADE + "\n".join(part.rstrip("\n") + "\n" for part in parts))


def columns():
    all_columns = ndjson("columns.ndjson")
    rows = [
        (
            code(c["name"]),
            c["kind"] + (f", {c['unit']}" if c["unit"] else ""),
            "yes" if c["indexed"] else "",
            cell(c["help"]),
            ", ".join(code(e) for e in c["elements"]),
        )
        for c in all_columns
    ]
    lists = []
    for c in all_columns:
        codes = c["codes"] or {}
        if codes and len(codes) <= 12:
            values = ", ".join(f"{number} `{label}`" for number, label in codes.items())
        elif codes:
            some = ", ".join(f"{number} `{label}`" for number, label in list(codes.items())[:4])
            values = f"{some}, and {len(codes) - 4} more: `flowgauge-collector columns --json`"
        if codes:
            lists.append((code(c["name"]), values))
    page(
        "columns.md",
        """# Columns

What a stored flow has, in the words of filters, of the page, of the API and of `query`. `flowgauge-collector columns`
prints this table; `--json` adds the code lists, and `GET /api/v1/columns` answers the same.

A column takes the first of its elements that a record carries. A record that carries none of them has no value there:
absent is not 0, and every comparison with it is false (see [filter language](filter.md#absent-values)). Every element
that no column takes is kept under its own name and can be searched by it (see [elements](elements.md)).

*Searched by index* columns find one address among millions of rows without looking at the rows. All others can be
filtered as well; their values lie together and are looked through.
""",
        table(("column", "kind, unit", "searched by index", "what it holds", "elements, by preference"), rows),
        "## Values with names\n",
        "Numbers that have a code list can be written by name in a filter, whatever the case, and the table form of\n"
        "`query` and the page show the name.\n",
        table(("column", "values"), lists),
    )


def sent():
    """Elements of the exporter's templates, in the order in which they stand in records, with their lengths."""
    fields = {}
    for line in ndjson("decoded.ndjson"):
        if line["kind"] == "template":
            for field in line["fields"]:
                fields[field["name"]] = field
    return fields


def elements():
    all_elements = ndjson("elements.ndjson")
    by_pen = {}
    for e in all_elements:
        by_pen.setdefault(e["pen"], []).append(e)
    fields = sent()
    names = {e["name"]: e for e in all_elements}
    sent_rows = [
        (code(name), code(field["element"]), cell(field["type"]), str(field["length"]), code(names[name]["column"] or ""))
        for name, field in sorted(fields.items(), key=lambda item: [int(n) for n in item[1]["element"].split(".")])
    ]
    own_rows = []
    for e in by_pen[32473]:
        low, high = e["range"] or ("", "")
        codes = ", ".join(f"{number} {label}" for number, label in (e["codes"] or {}).items())
        own_rows.append(
            (
                code(f"{e['pen']}.{e['id']}"),
                code(e["name"]),
                e["type"],
                e["semantics"] if e["semantics"] != "default" else "",
                e["units"] if e["units"] != "none" else "",
                cell(codes if codes and len(codes) < 120 else f"{low} to {high}" if e["range"] else ""),
                code(e["column"] or ""),
                "yes" if e["name"] in fields else "",
            )
        )
    page(
        "elements.md",
        f"""# Information elements

The collector knows {len(all_elements)} elements by name and type: {len(by_pen[0])} of IANA, their reverse
directions (RFC 5103, enterprise 29305), those of {len(by_pen) - 4} enterprises, NetFlow v9
fields that IANA has no number for (shown under enterprise 4294967295), and our own.
`flowgauge-collector elements NAME` looks for a part of a name, `elements PEN.ID` for a number; a 0 stands for IANA:

```
$ flowgauge-collector elements 32473.64
PEN.ID    NAME                               TYPE        SEMANTICS  UNITS         STATUS   COLUMN
32473.64  tcpHandshakeRttServerMicroseconds  unsigned32  quantity   microseconds  current  tcp.rtt.server
```

## How an element gets its name

In this order:

1. The registry that is built in.
2. Your own file: `--elements FILE` or `elements.file`, a CSV with the header `pen,id,name,type,semantics,units,status`.
   SIGHUP reads it again. Built-in elements keep their name and type whatever the file says.
3. Type records that the exporter itself sends (RFC 5610, Options Template with informationElementName and its kin).
   `flowgauge-exporter` sends them ahead of its first flow record, so that collectors that have never heard of it know
   its elements.
4. Otherwise the element is called by its number, `PEN.ID` (`32473.9999`, or `0.9999` of IANA), and its octets are kept
   as lower-case hex. Records are stored and searched under that name; they are not named later, when a type comes.

Reverse elements take the name of RFC 5103: `reverse` and the forward name (`reversePacketDeltaCount`).

## What flowgauge-exporter sends

Read from the templates of an export of `fixtures/office.pcap`, once with times in milliseconds and once in nanoseconds.
A record has only the fields it can fill: an answer that never came leaves the reverse fields out, and a flow without
VLAN tag has no VLAN element. An inner VLAN tag adds `dot1qCustomerVlanId` (`0.245`).
""",
        table(("element", "number", "type", "octets", "column of the collector"), sent_rows),
        """## Our own elements

Enterprise number 32473 is the one that RFC 5612 keeps for documentation, until one is assigned. Numbers do not change
their meaning. *sent* says what today's exporter sends; the others are the plan that later versions fill.
""",
        table(("number", "name", "type", "semantics", "units", "values", "column", "sent"), own_rows),
    )


def configuration():
    text = (work / "exporter.help").read_text()
    flags = re.findall(r"\n +(?:-\w, )?(--[a-z-]+)(?: <([^>]+)>)?(?:\.\.\.)? +(.*?)(?=\n +(?:-\w, )?--|\n\n|\Z)", text, re.S)
    rows = []
    for flag, value, words in flags:
        words = re.sub(r"\s+", " ", words)
        variable = re.search(r"\[env: FLOWGAUGE_(\w+)", words)
        if not variable:
            continue
        section, key = variable.group(1).lower().split("_", 1)
        default = re.search(r"\[default: ([^\]]+)\]", words)
        meaning = re.sub(r" *\[(env|default): [^\]]+\]", "", words)
        rows.append(
            (
                code(f"{section}.{key}"),
                code(f"{flag} {value}".strip()),
                code(f"FLOWGAUGE_{variable.group(1)}"),
                default.group(1) if default else "",
                cell(meaning),
            )
        )
    assert len(rows) > 10, rows
    page(
        "configuration.md",
        """# Configuration

Both programs read defaults, then the TOML file of `--config`, then the environment, then flags; the later wins. A key
`section.key` is `[section]` and `key = ..` in the file and `FLOWGAUGE_SECTION_KEY` in the environment. An unknown key or
variable is an error that names the nearest known one, with the line. `flowgauge-exporter check --config FILE` and
`flowgauge-collector check --config FILE` look at a file without starting anything.

Durations are a number and a unit: `500ms`, `15s`, `1m`, `2h`, `7d`. Sizes are octets or have a unit: `65536`, `64MiB`,
`1GB`.

## Exporter
""",
        table(("key", "flag", "variable", "default", "what it does"), rows),
        """Lists (`to`, `read`, `interface`) are arrays in the file and have commas in the environment; a list that wins replaces the
other whole.

## Collector

The defaults, as `flowgauge-collector check` prints them (for root; others have their data in `$XDG_DATA_HOME/flowgauge` or
`~/.local/share/flowgauge`). With `--config`, or with flags, it prints what those come to:

```toml
"""
        + (work / "collector.toml").read_text()
        + "```\n",
        "The flags have the same order in `flowgauge-collector run --help`, with the key behind each.\n",
    )


def http():
    paths = json.loads((work / "openapi.json").read_text())["paths"]
    parts = []
    for path, methods in paths.items():
        about = methods["get"]
        parts.append(f"## GET {path}\n")
        parts.append(about["summary"] + ".\n")
        parameters = [(code(p["name"]), cell(p["description"])) for p in about.get("parameters", [])]
        if parameters:
            parts.append(table(("parameter", "meaning"), parameters))
    page(
        "http.md",
        """# HTTP

What the collector answers at `http.address`, from its own `/api/openapi.json`. There is no login: it listens on loopback
unless told otherwise, and a proxy with a password belongs before it elsewhere.

`/flows` and `/aggregate` answer JSON, or CSV with `Accept: text/csv`, or a row a line with
`Accept: application/x-ndjson`. Faults are problem documents (RFC 9457, `application/problem+json`) with `detail`, and for a
filter `offset`, `length`, `expected` and `nearest`. Examples with their answers are in the
[collector guide](../guides/collector.md#the-http-api).
""",
        *parts,
    )


def metrics():
    text = (work / "metrics").read_text()
    kinds = dict(re.findall(r"# TYPE (\S+) (\S+)", text))
    rows = [(code(name), kinds.get(name, ""), cell(about)) for name, about in re.findall(r"# HELP (\S+) (.*)", text)]
    page(
        "metrics.md",
        """# Metrics

What `GET /metrics` of the collector has, in Prometheus' text format. Counters of an exporter carry `exporter`, `domain` and
`protocol`; those of a listener carry `listener`.
""",
        table(("metric", "type", "meaning"), rows),
    )


def query(text):
    command = [programs / "flowgauge-collector", "query", "--data", work / "flows", "--by", "flows", "--format", "csv", text]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        return None, answer.stderr.removeprefix("flowgauge-collector: ").rstrip("\n")
    return answer.stdout.splitlines()[1].split(",")[0], None


def filters():
    """The page is written by hand in tests/reference-filter.md; `flows` tables and `fault` blocks are filled in here."""
    text = (Path(__file__).parent / "reference-filter.md").read_text()
    text = text.split("-->\n", 1)[1]

    def examples(match):
        rows = []
        for line in match.group(1).strip().splitlines():
            wanted, _, about = line.partition("  # ")
            found, fault = query(wanted.strip())
            assert fault is None, f"{wanted}: {fault}"
            rows.append((code(wanted.strip()), found, cell(about)))
        return table(("filter", "flows", ""), rows)

    def faults(match):
        said = []
        for wanted in match.group(1).strip().splitlines():
            found, fault = query(wanted)
            assert fault, f"{wanted} is a filter: {found}"
            said.append(fault)
        return "```\n" + "\n".join(said) + "\n```\n"

    text = re.sub(r"```flows\n(.*?)```\n", examples, text, flags=re.S)
    text = re.sub(r"```fault\n(.*?)```\n", faults, text, flags=re.S)
    page("filter.md", text)


columns()
elements()
configuration()
http()
metrics()
filters()
