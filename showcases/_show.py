"""What the showcases share: running `hashwood` so that a reader can repeat it, figures, tables, packages, docs.

A showcase is a script that drives the product as a person would. It prints every command it runs, collects figures
and draws pictures (_pictures.py) into build/showcases/NAME, and starts from nothing each time:

    show = Show("fashion", "Clothes that look alike")
    show.step("Import 60,000 pictures")
    show.hashwood("import", show.db, "clothes", file, "--create", "--metric", "l2")
    hits = show.hashwood("search", show.db, "clothes", "--id", 7, json=True)
    show.figure("precision", 0.84, "precision@1")
    show.contact_sheet("neighbours.jpg", rows)
    show.finish()

Options of every showcase: `--docs` copies the pictures to docs/showcases/images and writes the figures into
docs/showcases/NAME.md, between the lines <!-- figures --> and <!-- /figures -->, so that the docs say what was measured.

Environment: HASHWOOD (the command), SHOWCASE_FOLDER (instead of build/showcases), SHOWCASE_PACKAGES (instead of
build/showcases/_packages), SHOWCASE_SMALL=1 (a small form of seconds, for the tests). Exit code 77: a package is
missing, and which is said.
"""
import contextlib
import datetime
import hashlib
import json
import os
import platform
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

try:
    import numpy as np
    import PIL  # noqa: F401
except ImportError:  # packages of deps.sh are for Debian's Python, which may not be the first of the PATH
    if os.path.realpath(sys.executable) == os.path.realpath("/usr/bin/python3") or not os.path.exists("/usr/bin/python3"):
        print("showcase: numpy or Pillow is missing; install python3-numpy and python3-pil", file=sys.stderr)
        sys.exit(77)
    sys.stdout.flush()
    os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])

import _pictures

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DOCS = os.path.join(ROOT, "docs", "showcases")
IMAGE_BYTES_MAX = 250_000  # of a picture in the docs
MISSING = 77


class Stop(Exception):
    """A command failed; what it said has been printed."""


class Show:
    def __init__(self, name, title):
        self.name, self.title = name, title
        self.small = bool(os.environ.get("SHOWCASE_SMALL"))
        self.docs = "--docs" in sys.argv[1:]
        unknown = [a for a in sys.argv[1:] if a != "--docs"]
        if unknown:
            sys.exit(f"showcase: unknown option {unknown[0]}; there is --docs")
        os.chdir(ROOT)
        self.command = os.environ.get("HASHWOOD", "build/hashwood")
        self.base = os.environ.get("SHOWCASE_FOLDER", "build/showcases")
        self.packages = os.environ.get("SHOWCASE_PACKAGES", "build/showcases/_packages")
        self.folder = os.path.join(self.base, name)
        self.db = os.path.join(self.folder, name + ".hw")
        self.env = dict(os.environ)
        self.figures, self.pictures, self.steps, self.url = [], [], 0, None
        if not shutil.which(self.command):
            sys.exit(f"showcase: {self.command} is not there; `make build` makes it, HASHWOOD names another")
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        self.began, self.waited, self.busy = time.monotonic(), 0.0, processor_seconds()
        self.bold, self.plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() and "NO_COLOR" not in os.environ else ("", "")
        print(f"{self.bold}{name}: {title}{self.plain}")
        self.version = subprocess.run([self.command, "version"], stdout=subprocess.PIPE, text=True).stdout.strip()
        print(self.version, flush=True)

    # ---- telling and running ----

    def step(self, text):
        self.steps += 1
        print(f"\n{self.bold}{self.steps}. {text}{self.plain}", flush=True)

    def say(self, text):
        print(text, flush=True)

    def file(self, name):
        """The path of a file in the showcase's folder."""
        return os.path.join(self.folder, name)

    def missing(self, what):
        """Ends the showcase: what it needs is not there."""
        print(f"showcase: {what}", file=sys.stderr)
        sys.exit(MISSING)

    def data(self, path, package):
        """The path, which a Debian package brings; without it the showcase ends, naming the package."""
        if not os.path.exists(path):
            self.missing(f"{path} is missing; install the Debian package {package}")
        return path

    def run(self, words, quiet=False, codes=(0,), stdin=None, tell=True):
        """Prints a command as one would type it, runs it, prints what it says, and returns that."""
        words = [str(w) for w in words]
        if tell:
            print("$ " + typed(words), flush=True)
        p = subprocess.run(words, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.env)
        if p.returncode not in codes:
            print(p.stdout[-2000:] + p.stderr[-4000:], end="", flush=True)
            raise Stop(f"{os.path.basename(words[0])} ended with {p.returncode}")
        if not quiet:
            print((p.stdout + p.stderr).rstrip("\n"), flush=True)
        return p.stdout

    def hashwood(self, *args, json=False, quiet=False, codes=(0,), stdin=None, tell=True):
        """`hashwood args`. With json: adds --json, prints no answer, and returns it parsed: one value, or a list where
        there is one a line. tell=False: not even the command is printed, for repetitions."""
        words = [self.command, *args] + (["--json"] if json else [])
        out = self.run(words, quiet or json, codes, stdin, tell)
        return parsed(out) if json else out

    def python(self, script, *args, packages=None, **kwargs):
        """Runs a script of the project, such as tools/ratings.py; packages: what pip() returned."""
        env = self.env
        if packages:
            self.env = dict(env, PYTHONPATH=packages)
        try:
            return self.run([sys.executable if packages else "python3", script, *args], **kwargs)
        finally:
            self.env = env

    # ---- over HTTP ----

    @contextlib.contextmanager
    def serving(self, *flags):
        """with show.serving(): show.http("POST", "/collections/c/points/query", {...})"""
        log_path = self.file("serve.log")
        print("$ " + typed([self.command, "serve", self.db, *flags]) + " &", flush=True)
        with open(log_path, "w") as log:
            server = subprocess.Popen([self.command, "serve", self.db, "--http-port", "0", *flags],
                                      stdout=log, stderr=log, env=self.env)
        try:
            self.url = self._address(server, log_path)
            yield self.url
        finally:
            self.url = None
            if server.poll() is None:
                server.send_signal(signal.SIGTERM)
            server.wait(60)

    @staticmethod
    def _address(server, log_path):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with open(log_path) as f:
                said = f.read()
            found = re.search(r"http://[^ ]*?:(\d+)", said)
            if found:
                return "http://127.0.0.1:" + found.group(1)
            if server.poll() is not None:
                raise Stop(f"the server ended with {server.returncode}: {said}")
            time.sleep(0.02)
        raise Stop("the server did not start")

    def http(self, method, path, body=None, quiet=False, tell=True):
        """Sends a request to the server and returns its `result`; printed as a curl command for the default port."""
        data = None if body is None else json.dumps(body).encode()
        if tell and not quiet:
            words = ["curl", "-s", *(["-X", method] if method != ("GET" if body is None else "POST") else []),
                     "localhost:6333" + path]
            if body is not None:
                words += ["-d", shortened(body)]
            print("$ " + typed(words), flush=True)
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=300) as answer:
                return json.load(answer)["result"]
        except urllib.error.HTTPError as e:
            raise Stop(f"{method} {path}: {e.code} {e.read().decode(errors='replace')[:1000]}") from None

    # ---- packages that are no part of Debian ----

    def pip(self, *names, flags=()):
        """Installs Python packages once into build/showcases/_packages, puts them on the path, returns the folder. With
        flags=("--no-deps",) the files of a package can be had without what it needs to run."""
        folder = self._install("python", names + (sys.version,), lambda to: [
            sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check",
            "--root-user-action=ignore", "--retries", "1", "--timeout", "30", "--target", to, *flags, *names], names)
        sys.path.insert(0, folder)
        return folder

    def npm(self, *names, flags=()):
        """Installs npm packages once, without running their scripts; returns the folder node_modules."""
        if not shutil.which("npm"):
            self.missing("npm is missing; install the Debian package npm")
        folder = self._install("node", names, lambda to: [
            "npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", *flags, "--prefix", to, *names], names)
        return os.path.join(folder, "node_modules")

    def _install(self, kind, key, command, names):
        tag = hashlib.sha256(" ".join(key).encode()).hexdigest()[:8]
        word = re.sub(r"[^a-z0-9]+", "-", names[0].lower()).strip("-")
        folder = os.path.join(self.packages, f"{kind}-{word}-{tag}")
        done = os.path.join(folder, ".installed")
        if os.path.exists(done):
            return os.path.abspath(folder)
        began, busy = time.monotonic(), processor_seconds()
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        print(f"Downloading {', '.join(names)} from {'PyPI' if kind == 'python' else 'npm'} to {folder}", flush=True)
        p = subprocess.run(command(os.path.abspath(folder)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if p.returncode != 0:
            shutil.rmtree(folder, ignore_errors=True)
            self.missing(f"{', '.join(names)} cannot be installed: {p.stdout.strip()[-500:]}")
        open(done, "w").close()
        self.waited += time.monotonic() - began
        self.busy += processor_seconds() - busy
        return os.path.abspath(folder)

    # ---- figures, tables, pictures ----

    def figure(self, key, value, text):
        """A measured figure: printed now and at the end, kept in figures.json, written into the docs."""
        self.figures.append({"key": key, "value": value, "text": text})
        print(f"   {text}: {self.bold}{worded(value)}{self.plain}", flush=True)

    def table(self, head, rows):
        """Prints rows of values in columns."""
        cells = [[worded(c) for c in row] for row in rows]
        number = [all(isinstance(r[i], (int, float)) for r in rows) for i in range(len(head))]
        widths = [max([len(h)] + [len(r[i]) for r in cells]) for i, h in enumerate(head)]
        fit = lambda row: "   " + "  ".join(c.rjust(w) if n else c.ljust(w) for c, w, n in zip(row, widths, number)).rstrip()
        print("\n".join([fit(head), fit(["-" * w for w in widths]), *map(fit, cells)]), flush=True)

    def _picture(self, file, draw):
        path = self.file(file)
        draw(path)
        size = os.path.getsize(path)
        if size > IMAGE_BYTES_MAX:
            raise Stop(f"{path} has {size} bytes, above the maximum {IMAGE_BYTES_MAX} of a picture in the docs")
        self.pictures.append(file)
        print(f"   picture: {path}", flush=True)
        return path

    def contact_sheet(self, file, rows, **options):
        """Rows of a query and what was found for it (_pictures.contact_sheet)."""
        return self._picture(file, lambda path: _pictures.contact_sheet(path, rows, **options))

    def bars(self, file, rows, **options):
        """A bar chart (_pictures.bars)."""
        return self._picture(file, lambda path: _pictures.bars(path, rows, **options))

    def scatter(self, file, points, **options):
        """Labelled points on a plane (_pictures.scatter)."""
        return self._picture(file, lambda path: _pictures.scatter(path, points, **options))

    def speed(self, base, queries, metric, count=1000, recall=0.95):
        """Measures recall@10 and queries per second of one thread with `hashwood bench`; returns its figures."""
        found = self.hashwood("bench", "--base", base, "--queries", queries, "--query-limit", count, "--metric", metric,
                              "--recall", recall, "--passes", 3, "--quiet", json=True)
        return dict(found["results"][0], build_s=found["build_s"])

    # ---- the end ----

    def finish(self, collection=None, more=()):
        """Prints all figures, writes figures.json and with --docs the docs, says how to go on."""
        seconds = round(time.monotonic() - self.began - self.waited, 1)
        self.figures.append({"key": "seconds", "value": seconds, "text": "seconds for the whole showcase, downloads aside"})
        self.figures.append({"key": "processor_seconds", "value": round(processor_seconds() - self.busy, 1),
                             "text": "processor seconds of that, all threads and commands"})
        print(f"\n{self.bold}Figures{self.plain}")
        self.table(["", "measured"], [[f["text"], worded(f["value"])] for f in self.figures])
        report = {"name": self.name, "date": datetime.date.today().isoformat(), "version": self.version,
                  "machine": machine(), "small": self.small, "figures": self.figures, "pictures": self.pictures}
        with open(self.file("figures.json"), "w") as f:
            json.dump(report, f, indent=1)
        if self.docs and not self.small:
            self._write_docs(report)
        print(f"\n{self.bold}Done. To go on:{self.plain}")
        print(f"  {self.command} serve {self.db}    # then open http://127.0.0.1:6333/dashboard")
        for line in ([f"{self.command} stats {self.db} {collection}"] if collection else []) + list(more):
            print("  " + line)

    def _write_docs(self, report):
        images = os.path.join(DOCS, "images")
        os.makedirs(images, exist_ok=True)
        for file in self.pictures:
            shutil.copyfile(self.file(file), os.path.join(images, f"{self.name}-{file}"))
        path = os.path.join(DOCS, self.name + ".md")
        if not os.path.exists(path):
            raise Stop(f"{path} is not there; write it first, with a line <!-- figures --> and a line <!-- /figures -->")
        with open(path) as f:
            page = f.read()
        rows = "\n".join(f"| {f['text']} | {worded(f['value'])} |" for f in report["figures"])
        block = (f"<!-- figures -->\n| | measured |\n| --- | --- |\n{rows}\n\n"
                 f"Measured {report['date']} with {report['version']} on {report['machine']}.\n<!-- /figures -->")
        page, count = re.subn(r"<!-- figures -->.*?<!-- /figures -->", lambda m: block, page, flags=re.S)
        if count != 1:
            raise Stop(f"{path} needs one line <!-- figures --> and one line <!-- /figures -->")
        with open(path, "w") as f:
            f.write(page)
        print(f"wrote {os.path.relpath(path)} and {len(self.pictures)} pictures beside it")


# ---- small helpers that showcases use as well ----

def parsed(out):
    """What a command printed with --json: a value, or a list of those that stand one a line."""
    try:
        return json.loads(out)
    except ValueError:
        return [json.loads(line) for line in out.splitlines() if line]


def typed(words):
    """A command line as one would type it."""
    quote = lambda w: w if re.fullmatch(r"[\w./:=,@%+-]+", w) else "'" + w.replace("'", "'\\''") + "'"
    return " ".join(quote(shortened(w)) for w in words)


def shortened(value):
    """Long arrays of numbers with their middle left out, for printing."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return re.sub(r"\[(-?[\d.e-]+, ?-?[\d.e-]+),[-\d., e]{60,}\]", r"[\1, ...]", text)


def worded(value):
    """A value for people: 0.8471 -> 0.847, 12345.6 -> 12,346."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        return str(value)
    if isinstance(value, (int, np.integer)):
        return f"{value:,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"


def processor_seconds():
    """What this process and the commands that have ended took, user and system."""
    return sum(r.ru_utime + r.ru_stime for r in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


def machine():
    """The machine in words: processor, cores, memory, system."""
    model, memory = platform.machine(), ""
    with contextlib.suppress(OSError):
        with open("/proc/cpuinfo") as f:
            found = re.search(r"model name\s*:\s*(.+)", f.read())
            model = found.group(1).strip() if found else model
        memory = f", {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GB"
    cores = len(os.sched_getaffinity(0))
    busy = ", which had other work to do" if os.getloadavg()[0] > 1.5 * cores else ""
    return f"{cores} cores of {model}{memory}{busy}"


def equals(key, value):
    """The condition of a filter that a payload field has a value."""
    return {"key": key, "match": {"value": value}}


def must(*conditions, must_not=()):
    """A filter as the JSON text that --filter takes."""
    found = {}
    if conditions:
        found["must"] = list(conditions)
    if must_not:
        found["must_not"] = list(must_not)
    return json.dumps(found)


def main(showcase):
    """Runs a showcase's function; a command that fails ends it with one line and exit code 1."""
    try:
        showcase()
    except Stop as e:
        print(f"showcase: {e}", file=sys.stderr)
        sys.exit(1)
