"""How far the exporter agrees with what other flow meters said about the same captures.

    python3 tests/agreement --exporter target/debug/flowgauge-exporter [--shared ../shared] [--write PAGE | --check PAGE] [SET ..]

Each set is a module: it reads one project's expected results and yields comparisons. A comparison that differs must be
explained by a line of `reasons.py`; one that is not, or a reason that explains nothing any more, ends with status 1.
With --write the tables become a page; with --check the page must be what would be written.
Wants Python 3.11 and PyYAML (Debian: python3-yaml).
"""

import argparse
import sys
from pathlib import Path

import flowtest
import ipfixprobe
import ja4
import ndpi
import suricata
import zeek
from flows import Exporter
from reasons import REASONS
from table import Tables

SETS = {
    "flowtest": flowtest,
    "ipfixprobe": ipfixprobe,
    "zeek": zeek,
    "ja4": ja4,
    "suricata-verify": suricata,
    "ndpi": ndpi,
}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="agreement", description=__doc__.split("\n\n")[0])
    root = Path(__file__).resolve().parent.parent.parent
    parser.add_argument("--exporter", type=Path, default=root / "target/debug/flowgauge-exporter")
    parser.add_argument("--shared", type=Path, default=root / "../shared")
    parser.add_argument("--write", type=Path, metavar="PAGE")
    parser.add_argument("--check", type=Path, metavar="PAGE")
    parser.add_argument("--differences", action="store_true", help="print every difference, explained or not")
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"of {', '.join(SETS)}; all unless told otherwise")
    options = parser.parse_args()
    for name in options.sets:
        if name not in SETS:
            parser.error(f"{name} is no set; there are {', '.join(SETS)}")
    return options


def main() -> int:
    options = parse()
    exporter = Exporter(options.exporter)
    tables = Tables(REASONS)
    for name, module in SETS.items():
        if options.sets and name not in options.sets:
            continue
        table = tables.begin(name, module.__doc__)
        module.compare(exporter, options.shared / "corpus" / name, table)
        print(table.summary(), flush=True)
    if options.differences:
        print("\n".join(str(difference) for table in tables.all for difference in table.differences))
    page = tables.page()
    if options.write:
        options.write.write_text(page)
    failed = False
    if options.check and page != options.check.read_text():
        print(f"{options.check} is not what would be written: run tests/agreement with --write and look at the diff")
        failed = True
    for difference in tables.unexplained():
        print(f"unexplained: {difference}")
        failed = True
    if not options.sets:
        for reason in tables.unused():
            print(f"explains nothing: {reason.set} {reason.case} {reason.what}")
            failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
