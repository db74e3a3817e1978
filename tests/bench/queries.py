"""The same flows in our collector, nfdump and DuckDB over Parquet: what each question takes, in one run.

    tests/bench.sh queries          FLOWS=10000000 RATE=100000 RUNS=3 PROGRAMS=target/release

DuckDB makes the flows; as IPFIX Messages they go to our collector by TCP, at RATE a second while a question is asked each second,
and to nfcapd by UDP. Answers are compared before times are: the same flows, or no figures. CPU seconds are user and system,
the least of RUNS; other programs of the machine move wall times far more.
"""

import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

import duckdb

import flows

RUNS, RATE = int(os.environ.get("RUNS", 3)), float(os.environ.get("RATE", 100_000))
PROGRAMS = os.environ.get("FLOWGAUGE_PROGRAMS", "target/release")
SPAN_MS = 600_000
NETWORK, ADDRESS_LAST = 3, 9
TICKS = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def cpu_of(pid):
    """User and system, with its children that ended."""
    fields = open(f"/proc/{pid}/stat", encoding="utf-8").read().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICKS


def memory_of(pid):
    """The largest resident set, MB."""
    line = next(line for line in open(f"/proc/{pid}/status", encoding="utf-8") if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def own_memory_of(pid):
    """Memory of its own now, MB: without pages of the files it reads, which the kernel takes back when it wants them."""
    line = next(line for line in open(f"/proc/{pid}/status", encoding="utf-8") if line.startswith("RssAnon"))
    return int(line.split()[1]) / 1024


def size_of(path):
    return sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(path) for name in names)


class Ours:
    name = "flowgauge"

    def __init__(self, work):
        self.data, self.port, self.http = f"{work}/flowgauge", free_port(), free_port()
        self.log = open(f"{work}/flowgauge.log", "w", encoding="utf-8")
        self.process = subprocess.Popen([f"{PROGRAMS}/flowgauge-collector", "run", "--listen", f"tcp://127.0.0.1:{self.port}", "--data", self.data,
                                         "--http", f"127.0.0.1:{self.http}"], stderr=self.log, stdout=subprocess.DEVNULL)
        for _ in range(300):
            try:
                self.get("/readyz", False)
                return
            except OSError:
                time.sleep(0.1)
        raise SystemExit("the collector is not ready after 30 s")

    def get(self, path, is_json=True):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}", timeout=600) as answer:
            body = answer.read()
        return json.loads(body) if is_json else body

    def aggregate(self, **parameters):
        return self.get("/api/v1/aggregate?" + urllib.parse.urlencode(parameters))

    def found(self):
        return int(self.aggregate(metrics="flows")["rows"][0].get("flows") or 0)

    def cpu(self):
        return cpu_of(self.process.pid)

    def take(self, path, total):
        """Sends everything, and asks meanwhile; says what it took."""
        lags, asked, own, begin = [], 0, 0, time.monotonic()
        sent, history, done = [0], [(begin, 0)], threading.Event()

        def watch():
            nonlocal asked, own
            while not done.wait(1):
                now = time.monotonic()
                found = self.aggregate(filter=f"port 443 and net 10.{NETWORK}.0.0/16", group_by="src.ip", metrics="octets")["stats"]["rows_read"]
                asked, own = asked + 1, max(own, own_memory_of(self.process.pid))
                # Everything that had been sent by this time is searchable.
                lags.append(now - max(at for at, count in history if count <= found))

        watcher = threading.Thread(target=watch)
        watcher.start()
        messages = flows.Messages(int(time.time()))
        with socket.create_connection(("127.0.0.1", self.port)) as link, duckdb.connect(config={"threads": 1}) as source:
            link.sendall(messages.templates())
            for batch in flows.batches(source, path):
                for octets, count in messages.of(batch):
                    link.sendall(octets)
                    sent[0] += count
                    if sent[0] // 2000 != (sent[0] - count) // 2000:
                        history.append((time.monotonic(), sent[0]))
                        time.sleep(max(0.0, begin + sent[0] / RATE - time.monotonic()))
        sending = time.monotonic() - begin
        # Until everything is there, or nothing came for a minute.
        last, since = 0, time.monotonic()
        while (found := self.found()) < total and time.monotonic() - since < 60:
            last, since = (found, time.monotonic()) if found > last else (last, since)
            time.sleep(0.2)
        searchable = time.monotonic() - begin
        done.set()
        watcher.join()
        return {"flows": self.found(), "cpu": self.cpu(), "octets": size_of(self.data), "memory": memory_of(self.process.pid), "own": own, "sending": sending,
                "behind": searchable - sending, "lag": max(lags, default=0), "asked": asked}

    def settle(self):
        """Until nothing is done any more behind the last record."""
        for _ in range(120):
            before = self.cpu()
            time.sleep(1)
            if self.cpu() - before <= 0.02:
                return

    def time(self, ask):
        """First and least wall time, and CPU seconds of one of many."""
        begin, cpu, walls = time.monotonic(), self.cpu(), []
        answer = ask()
        first, first_cpu = time.monotonic() - begin, self.cpu() - cpu
        cpu, many = self.cpu(), max(RUNS, min(50, int(1 / max(first, 0.02))))
        for _ in range(many):
            begin = time.monotonic()
            ask()
            walls.append(time.monotonic() - begin)
        return answer, {"first": first, "first_cpu": first_cpu, "wall": min(walls), "cpu": (self.cpu() - cpu) / many}

    def end(self):
        self.process.terminate()
        self.process.wait()


class Nfdump:
    name = "nfdump"

    def __init__(self, work):
        self.folder, self.port = f"{work}/nfcapd", free_port()
        os.mkdir(self.folder)

    def take(self, path):
        process = subprocess.Popen(["nfcapd", "-b", "127.0.0.1", "-p", str(self.port), "-w", self.folder, "-t", "86400", "-B", "134217728", "-y"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(1)
        messages, link, sent = flows.Messages(int(time.time())), socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0
        link.connect(("127.0.0.1", self.port))
        link.send(messages.templates())
        time.sleep(0.3)
        queue = f":{self.port:04X} "
        with duckdb.connect(config={"threads": 1}) as source:
            for batch in flows.batches(source, path):
                for octets, count in messages.of(batch):
                    link.send(octets)
                    sent += count
                    # It may not get ahead of what nfcapd reads: nothing is to be lost.
                    if sent // 20_000 != (sent - count) // 20_000:
                        while any(queue in line and int(line.split()[4].split(":")[1], 16) > 4 << 20 for line in open("/proc/net/udp")):
                            time.sleep(0.002)
        time.sleep(2)
        cpu, memory = cpu_of(process.pid), memory_of(process.pid)
        process.terminate()
        process.wait()
        self.file = next(os.path.join(self.folder, name) for name in os.listdir(self.folder) if name.startswith("nfcapd.2"))
        info = subprocess.run(["nfdump", "-r", self.file, "-I"], capture_output=True, text=True, check=True).stdout
        found = next(int(line.split(":")[1]) for line in info.splitlines() if line.startswith("Flows:"))
        return {"flows": found, "cpu": cpu, "octets": os.path.getsize(self.file), "memory": memory}

    def time(self, arguments):
        runs, answer = [], ""
        for _ in range(RUNS + 1):
            before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
            answer = subprocess.run(["nfdump", "-r", self.file, "-N", *arguments], capture_output=True, text=True, check=True).stdout
            wall, after = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
            runs.append((wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))
        return answer, {"first": runs[0][0], "wall": min(wall for wall, _ in runs), "cpu": min(cpu for _, cpu in runs)}


class Duck:
    name = "DuckDB"

    def __init__(self, path):
        self.path, self.connection = path, duckdb.connect(config={"threads": os.cpu_count()})

    def time(self, sql):
        runs, answer = [], []
        for _ in range(RUNS + 1):
            before, begin = time.process_time(), time.monotonic()
            answer = self.connection.execute(sql.format(flows=f"read_parquet('{self.path}')")).fetchall()
            runs.append((time.monotonic() - begin, time.process_time() - before))
        return answer, {"first": runs[0][0], "wall": min(wall for wall, _ in runs), "cpu": min(cpu for _, cpu in runs)}


def address(number):
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))


def questions(host):
    """Name; the bar; ours, nfdump's arguments, SQL; what of each answer must be the same."""
    top = lambda answer, columns: [tuple([*(row[column] for column in columns), int(row["octets"])]) for row in answer["rows"]]
    shown = lambda rows, addresses: [tuple(address(value) if at < addresses else int(value) for at, value in enumerate(row)) for row in rows]
    network = f"10.{NETWORK}.0.0/16"
    within = f"dport = 443 and (src >> 16 = {10 * 256 + NETWORK} or dst >> 16 = {10 * 256 + NETWORK})"
    four = ["src.ip", "dst.ip", "src.port", "dst.port"]
    return [
        ("one address among all", "10 ms", dict(filter=f"host {host}", metrics="flows,octets"), ["-q", "-o", "fmt:%sa", f"ip {host}"],
         "select count(*), sum(octets) from {flows} where " + " or ".join(f"{end} = {int_of(host)}" for end in ("src", "dst")),
         lambda ours: [(int(ours["rows"][0]["flows"]), int(ours["rows"][0]["octets"]))], lambda rows: [(int(a), int(b)) for a, b in rows]),
        ("a server name by suffix", "50 ms", dict(filter='tls.sni ~ "*77.example.com"', metrics="flows,octets"), None,
         "select count(*), sum(octets) from {flows} where sni like '%77.example.com'",
         lambda ours: [(int(ours["rows"][0]["flows"]), int(ours["rows"][0]["octets"]))], lambda rows: [(int(a), int(b)) for a, b in rows]),
        ("top ten sources by octets", "nfdump / 8", dict(group_by="src.ip", metrics="octets", limit=10), ["-q", "-s", "srcip/bytes", "-n", "10"],
         "select src, sum(octets) from {flows} group by 1 order by 2 desc, 1 limit 10",
         lambda ours: top(ours, ["src.ip"]), lambda rows: shown(rows, 1)),
        ("top ten 4-tuples by octets", "nfdump / 5", dict(group_by=",".join(four), metrics="octets", limit=10),
         ["-q", "-A", "srcip,dstip,srcport,dstport", "-O", "bytes", "-n", "10", "-o", "csv"],
         "select src, dst, sport, dport, sum(octets) from {flows} group by 1, 2, 3, 4 order by 5 desc, 1, 2, 3, 4 limit 10",
         lambda ours: top(ours, four), lambda rows: shown(rows, 2)),
        ("port and network, top ten sources", "nfdump / 4", dict(filter=f"port 443 and net {network}", group_by="src.ip", metrics="octets", limit=10),
         ["-q", "-s", "srcip/bytes", "-n", "10", f"port 443 and net {network}"],
         f"select src, sum(octets) from {{flows}} where {within} group by 1 order by 2 desc, 1 limit 10",
         lambda ours: top(ours, ["src.ip"]), lambda rows: shown(rows, 1)),
        ("the same top ten, from rollups", "100 ms", dict(group_by="src.ip", metrics="octets", limit=10, tier="rollup"), None, None, None, None),
    ]


def int_of(text):
    return int.from_bytes(map(int, text.split(".")), "big")


def ms(seconds):
    return "-" if seconds is None else f"{seconds * 1e3:.1f}"


def run(total, work):
    path = f"{work}/flows.parquet"
    duck = Duck(path)
    flows.make(duck.connection, total, int(time.time() * 1000) - SPAN_MS, SPAN_MS, path)
    ours, nfdump = Ours(work), Nfdump(work) if shutil.which("nfcapd") else None
    try:
        took = [(ours.name, ours.take(path, total))]
        took += [(nfdump.name, nfdump.take(path))] if nfdump else []
        took += [("DuckDB, Parquet", {"flows": total, "octets": os.path.getsize(path)})]
        print(f"\n{'flows':16} {'stored':>10} {'CPU s':>8} {'records/CPU s':>14} {'octets/flow':>12} {'MB resident':>12}")
        for name, figures in took:
            cpu = figures.get("cpu")
            print(f"{name:16} {figures['flows']:10} {cpu or 0:8.1f} {figures['flows'] / cpu if cpu else 0:14.0f} "
                  f"{figures['octets'] / total:12.1f} {figures.get('memory', 0):12.0f}")
            if figures["flows"] != total:
                raise SystemExit(f"{name} has {figures['flows']} of {total} flows: nothing can be compared")
        figures = took[0][1]
        print(f"sent in {figures['sending']:.0f} s, all found {figures['behind']:.1f} s after the last; at most {figures['lag']:.1f} s behind, "
              f"with {figures['asked']} questions meanwhile; {figures['own']:.0f} MB of its own at most")
        ours.settle()
        parts = {name: size_of(f"{ours.data}/{name}") or os.path.getsize(f"{ours.data}/{name}") for name in sorted(os.listdir(ours.data))}
        print(f"settled: {size_of(ours.data) / total:.1f} octets a flow, of them "
              + ", ".join(f"{name} {octets / total:.1f}" for name, octets in parts.items() if octets > total / 10), flush=True)
        compare(total, ours, nfdump, duck)
        print(f"resident after the questions: {memory_of(ours.process.pid):.0f} MB at most")
    finally:
        ours.end()


def compare(total, ours, nfdump, duck):
    host = address(duck.connection.execute(f"select src from read_parquet('{duck.path}') where src >> 8 = {10 * 65536 + NETWORK * 256 + ADDRESS_LAST} "
                                           "order by src limit 1").fetchone()[0])
    print(f"\n{total} flows, ms{'':22} {'ours: first':>12} {'wall':>8} {'CPU':>8} {'nfdump wall':>12} {'CPU':>8} {'DuckDB wall':>12} {'CPU':>8} "
          f"{'nfdump/ours':>12} {'DuckDB/ours':>12}  bar")
    for name, bar, asked, arguments, sql, of_ours, of_duck in questions(host):
        answer, mine = ours.time(lambda: ours.aggregate(**asked))
        theirs = nfdump.time(arguments)[1] if nfdump and arguments else {}
        rows, its = duck.time(sql) if sql else ([], {})
        if sql and of_ours(answer) != of_duck(rows):
            raise SystemExit(f"{name}: we say {of_ours(answer)[:3]}, DuckDB {of_duck(rows)[:3]}")
        ratio = lambda peer: f"{peer['wall'] / mine['wall']:.1f}" if peer else "-"
        print(f"{name:36} {ms(mine['first']):>12} {ms(mine['wall']):>8} {ms(mine['cpu']):>8} {ms(theirs.get('wall')):>12} {ms(theirs.get('cpu')):>8} "
              f"{ms(its.get('wall')):>12} {ms(its.get('cpu')):>8} {ratio(theirs):>12} {ratio(its):>12}  {bar}", flush=True)


def main():
    if os.geteuid() == 0:
        subprocess.run(["sysctl", "-qw", "net.core.rmem_max=134217728"], check=False)
    for total in map(int, os.environ.get("FLOWS", "1000000 10000000").split()):
        with tempfile.TemporaryDirectory(dir=os.environ.get("WORK")) as work:
            run(total, work)


if __name__ == "__main__":
    sys.exit(main())
