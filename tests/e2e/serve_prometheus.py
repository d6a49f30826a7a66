"""A real Prometheus scrapes the server; every expression of the dashboard and of the alerts is one it
understands, over metrics that exist. Skipped without Debian's prometheus."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request

from _cli import SOURCE, Failure, check, main, same
from _rest import Server

if not shutil.which("prometheus") or not shutil.which("promtool"):
    print("skipped: prometheus is not installed")
    sys.exit(77)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def query(port, expression):
    url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return json.load(answer)["data"]["result"]
    except urllib.error.HTTPError as e:
        raise Failure(f"{expression}: {e.read().decode()}") from e


def expressions():
    with open(os.path.join(SOURCE, "deploy", "grafana-dashboard.json")) as f:
        for panel in json.load(f)["panels"]:
            for target in panel["targets"]:
                yield (target["expr"].replace("$__rate_interval", "1m")
                       .replace('instance=~"$instance"', 'instance=~".+"'))
    with open(os.path.join(SOURCE, "deploy", "alerts.yml")) as f:
        for line in f:
            found = re.match(r"\s+expr: (.*)", line)
            if found:
                yield found.group(1)


def test_prometheus_reads_what_dashboard_and_alerts_ask_for():
    rules = os.path.join(SOURCE, "deploy", "alerts.yml")
    r = subprocess.run(["promtool", "check", "rules", rules], capture_output=True, text=True)
    same(r.returncode, 0, r.stdout + r.stderr)
    with Server("a.hw", "--recall-sample", "1", "--api-key", "k") as s:
        s.headers = {"api-key": "k"}
        s.raw("PUT", "/collections/c", {"vectors": {"size": 2, "distance": "Dot"}})
        s.raw("PUT", "/collections/c/points?wait=true",
              {"points": [{"id": i, "vector": [i, 1]} for i in range(20)]})
        for _ in range(5):
            s.raw("POST", "/collections/c/points/search", {"vector": [1, 2], "limit": 3})
        port = free_port()
        with open("prometheus.yml", "w") as f:
            f.write(f"global: {{scrape_interval: 1s}}\nrule_files: ['{rules}']\n"
                    "scrape_configs:\n"
                    "- job_name: hashwood\n"
                    "  authorization: {credentials: k}\n"
                    f"  static_configs: [{{targets: ['127.0.0.1:{s.port}']}}]\n")
        with open("prometheus.log", "w") as log:
            p = subprocess.Popen(["prometheus", "--config.file=prometheus.yml",
                                  "--storage.tsdb.path=tsdb",
                                  f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
        try:
            end = time.monotonic() + 90
            while True:
                check(time.monotonic() < end and p.poll() is None, open("prometheus.log").read())
                try:
                    found = query(port, 'collection_points{id="c"}')
                    if found and query(port, "hashwood_recall"):
                        break
                except OSError:
                    pass
                time.sleep(0.3)
            same(found[0]["value"][1], "20", "points, as Prometheus sees them")
            same(query(port, 'up{job="hashwood"}')[0]["value"][1], "1", "up")
            known = {row["metric"]["__name__"] for row in query(port, '{job="hashwood"}')}
            for expression in expressions():
                query(port, expression)  # fails when it is no expression
                for name in re.findall(r"\b((?:hashwood|rest|collection|memory|process)_\w+)",
                                       expression):
                    check(name in known, f"{expression}: no metric {name}")
        finally:
            p.terminate()
            p.wait(30)


main(globals())
