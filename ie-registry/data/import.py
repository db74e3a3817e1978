#!/usr/bin/env python3
"""Makes the CSV tables of this folder from a folder of registry files.

    import.py REGISTRY_DIR [TARGET_DIR]

REGISTRY_DIR holds iana/, vendor/ and dns-tls/; every table names its sources in its first line. The output goes to
this folder or to TARGET_DIR and depends on the input and on rules/ alone, so a new IANA release is: put the new ipfix.xml there, run this, look at the diff. Only numbers,
names, types, semantics, units, ranges and states are taken, never descriptions. Written by hand and not touched:
flowgauge.csv, juniper-2636.csv, rules/, and the lists in codes/ that importing/codes.py does not name.
"""

import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parent))

from importing import codes, iana, vendors  # noqa: E402


def main():
    if len(sys.argv) not in (2, 3):
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    here = Path(__file__).parent
    source = Path(sys.argv[1])
    target = Path(sys.argv[2]) if len(sys.argv) == 3 else here
    iana.write(source, target)
    vendors.write(source, target, here / "rules")
    codes.write(source, target)


if __name__ == "__main__":
    main()
