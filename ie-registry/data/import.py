#!/usr/bin/env python3
"""Makes the CSV tables of this folder from a folder of registry files.

    import.py REGISTRY_DIR

REGISTRY_DIR holds iana/, vendor/ and dns-tls/ (see the source list of every table below). The output depends on
the input alone, so a new IANA release is: put the new ipfix.xml there, run this, look at the diff. Only numbers,
names, types, semantics, units, ranges and states are taken, never descriptions. Written by hand and not touched:
flowgauge.csv, juniper-2636.csv, rules/, and the lists in codes/ that importing/codes.py does not name.
"""

import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parent))

from importing import codes, iana, vendors  # noqa: E402


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    source = Path(sys.argv[1])
    target = Path(__file__).parent
    iana.write(source, target)
    vendors.write(source, target)
    codes.write(source, target)


if __name__ == "__main__":
    main()
