"""Flows made up by DuckDB, as a Parquet file and as IPFIX Messages of the same flows.

Skewed hosts and sizes: few hosts have most flows, three in five flows are TLS with one of 50 000 server names.
"""

import struct

import numpy

TLS, PLAIN = 257, 256
NAME_OCTETS = 23
PEN = 32473
FIELDS = [(152, "start", "u8"), (153, "end", "u8"), (8, "src", "u4"), (12, "dst", "u4"), (7, "sport", "u2"), (11, "dport", "u2"), (4, "proto", "u1"),
          (6, "flags", "u2"), (10, "in_if", "u4"), (14, "out_if", "u4"), (2, "packets", "u8"), (1, "octets", "u8")]
SNI = 32
# What fits into 1400 octets.
PER_MESSAGE = {PLAIN: 24, TLS: 17}

# A random number of [0, 1) by row and purpose, the same in every run.
RANDOM = "((hash(i * 31 + {purpose}) >> 11) / 9007199254740992.0)"


def random(purpose):
    return RANDOM.format(purpose=purpose)


def skewed(purpose, end):
    """Small numbers much more often than large ones."""
    return f"least(pow({end}, {random(purpose)})::bigint, {end - 1})"


def make(connection, count, begin_ms, span_ms, path):
    """Writes so many flows, in the order in which they end."""
    connection.execute(f"""
        copy (select ({begin_ms} + i * {span_ms} // {count} - length)::ubigint as start, ({begin_ms} + i * {span_ms} // {count})::ubigint as "end",
                     src, dst, sport, (case when tls then 443 else other_port end)::usmallint as dport, proto, flags, in_if, out_if,
                     packets, packets * size as octets, case when tls then sni end as sni
              from (select i, {skewed(1, 60_000)} as length,
                           (10 * 16777216::bigint + {skewed(2, 16)} * 65536 + {skewed(3, 256)} * 256 + ({random(4)} * 256)::integer % 256)::uinteger as src,
                           (192 * 16777216::bigint + {skewed(5, 200_000)} * 77)::uinteger as dst,
                           (32768 + {random(6)} * 28000)::usmallint as sport, {random(7)} < 0.6 as tls, {skewed(8, 10_000)} as other_port,
                           (case when {random(7)} < 0.85 then 6 else 17 end)::utinyint as proto,
                           (case when {random(7)} < 0.85 then 27 else 0 end)::usmallint as flags,
                           (1 + {random(9)} * 3)::uinteger as in_if, (1 + {random(10)} * 3)::uinteger as out_if,
                           (1 + {skewed(11, 5_000)})::ubigint as packets, (64 + {random(12)} * 1400)::ubigint as size,
                           'host-' || lpad(({skewed(13, 50_000)})::varchar, 6, '0') || '.example.com' as sni
                    from range({count}) t(i)) made)
        to '{path}' (format parquet, compression zstd, row_group_size 122880)""")


def dtype(kind):
    fields = [(name, ">" + form) for _, name, form in FIELDS]
    return numpy.dtype(fields + ([("sni", f"S{NAME_OCTETS}")] if kind == TLS else []))


def template(kind):
    specifiers = b"".join(struct.pack("!HH", element, int(form[1])) for element, _, form in FIELDS)
    count = len(FIELDS)
    if kind == TLS:
        specifiers, count = specifiers + struct.pack("!HHI", 0x8000 | SNI, NAME_OCTETS, PEN), count + 1
    return struct.pack("!HH", kind, count) + specifiers


class Messages:
    """IPFIX Messages of batches of flows; sequence numbers count records."""

    def __init__(self, export_s):
        self.export_s, self.sequence = export_s, 0

    def templates(self):
        body = template(PLAIN) + template(TLS)
        return struct.pack("!HHIII", 10, 20 + len(body), self.export_s, self.sequence, 1) + struct.pack("!HH", 2, 4 + len(body)) + body

    def of(self, columns):
        """(octets of one Message, records in it) after the other, from columns of a batch."""
        is_tls = ~numpy.ma.getmaskarray(columns["sni"])
        for kind, rows in ((PLAIN, numpy.flatnonzero(~is_tls)), (TLS, numpy.flatnonzero(is_tls))):
            form, each = dtype(kind), PER_MESSAGE[kind]
            records = numpy.empty(len(rows), form)
            for name in form.names:
                values = columns[name][rows]
                records[name] = numpy.ma.getdata(values).astype(f"S{NAME_OCTETS}") if name == "sni" else numpy.ma.getdata(values)
            octets = records.tobytes()
            for first in range(0, len(rows), each):
                count = min(each, len(rows) - first)
                body = octets[first * form.itemsize:(first + count) * form.itemsize]
                yield struct.pack("!HHIIIHH", 10, 20 + len(body), self.export_s, self.sequence & 0xFFFFFFFF, 1, kind, 4 + len(body)) + body, count
                self.sequence += count


def batches(connection, path, size=200_000):
    """Columns of so many flows at once, in the order of the file."""
    total = connection.execute(f"select count(*) from read_parquet('{path}')").fetchone()[0]
    for first in range(0, total, size):
        yield connection.execute(f"select * from read_parquet('{path}') limit {size} offset {first}").fetchnumpy()
