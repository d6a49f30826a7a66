"""What the scenarios share: a folder of their own, commands and requests printed as they are made, a server to kill.

A scenario's output is the same at every run (fixed seeds, no times), stands in NAME.txt beside NAME.py and in
docs/scenarios.md, and tests/e2e/scenarios.py compares all three. HASHWOOD names the command; default: build/hashwood.
"""
import atexit
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HASHWOOD = os.path.abspath(os.environ.get("HASHWOOD", os.path.join(ROOT, "build", "hashwood")))
TIMED = re.compile(r"\d[\d,]* hits? in|imported|built|wrote|restored")  # remarks that tell times

folder = tempfile.mkdtemp(prefix="hashwood-scenario-")
atexit.register(shutil.rmtree, folder, True)
os.chdir(folder)
os.mkdir("bin")
os.symlink(HASHWOOD, "bin/hashwood")
os.environ["PATH"] = os.path.join(folder, "bin") + os.pathsep + os.environ["PATH"]


def say(text):
    print(("\n" if say.began else "") + "# " + text, flush=True)
    say.began = True


say.began = False


def sh(line, shown=None, keep=None):
    """Runs a line of the shell and prints it with what it said, but for times; returns all of it. keep: prints only the
    lines that begin with one of these."""
    print("$ " + (shown or line).strip())
    p = subprocess.run(["bash", "-c", line], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines = [line.rstrip() for line in p.stdout.splitlines() if line.strip() and not TIMED.match(line)]
    for line in lines:
        if not keep or line.startswith(keep):
            print(line)
    sys.stdout.flush()
    return p.stdout


def jsonl(path, rows):
    with open(path, "w") as f:
        f.writelines(json.dumps(row) + "\n" for row in rows)


class Server:
    """with Server("shop.hw") as s: s.ask("POST", "/collections/c/points/query", {...})"""

    def __init__(self, db, **settings):
        self.db, self.settings, self.process = db, settings, None

    def __enter__(self):
        env = dict(os.environ, **{"HASHWOOD__" + k.upper(): str(v) for k, v in self.settings.items()})
        self.log = open("serve.log", "w")
        self.process = subprocess.Popen([HASHWOOD, "serve", self.db, "--http-port", "0"], stdout=self.log, stderr=self.log, env=env)
        for _ in range(3000):
            with open("serve.log") as f:
                found = re.search(r"http://[^ ]*?:(\d+)", f.read())
            if found or self.process.poll() is not None:
                break
            time.sleep(0.02)
        if not found:
            raise SystemExit("the server did not start: " + open("serve.log").read())
        self.url = "http://127.0.0.1:" + found.group(1)
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(60)
        self.log.close()

    def request(self, method, path, body=None, key=None):
        """(status, answer)"""
        headers = {"Content-Type": "application/json", **({"api-key": key} if key else {})}
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(self.url + path, data, headers, method=method), timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as e:
            text = e.read().decode()
            return e.code, json.loads(text) if text.startswith("{") else text

    def ask(self, method, path, body=None, key=None, who=None, shown=None):
        """Prints a request; gives its result, or prints why it was refused and gives None."""
        words = shown or ("" if body is None else json.dumps(body))
        print(f"{who + ': ' if who else ''}{method} {path}" + (" " + words if words else ""))
        status, answer = self.request(method, path, body, key)
        if status == 200:
            return answer["result"]
        print(f"  {status} {answer['status']['error'] if isinstance(answer, dict) else answer}", flush=True)
        return None


def hits(points, *fields):
    """Prints points that were found, one a line."""
    for p in points:
        facts = "  ".join(str((p.get("payload") or {}).get(f, "-")) for f in fields)
        print(f"  {p['id']:>4}  {p['score']:.3f}  {facts}".rstrip(), flush=True)
