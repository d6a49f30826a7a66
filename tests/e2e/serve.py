"""The server as an operator meets it: start and stop, keys, TLS, limits, slow and many callers, a
kill in the middle of writing."""

import ctypes
import gzip
import http.client
import json
import os
import re
import resource
import signal
import socket
import ssl
import subprocess
import threading
import time

from _cli import HASHWOOD, Failure, check, main, same, wait_until
from _rest import Server

DOT = {"vectors": {"size": 4, "distance": "Dot"}}


def upsert(s, first, count, collection="c", wait="true"):
    points = [{"id": first + i, "vector": [i, 1, 2, 3]} for i in range(count)]
    return s.raw("PUT", f"/collections/{collection}/points?wait={wait}", {"points": points})


def ask(s, head, body=b"", seconds=30):
    """Sends raw bytes on a connection of their own; all that comes back."""
    with socket.create_connection(("127.0.0.1", s.port), timeout=seconds) as c:
        c.sendall(head + body)
        got = b""
        try:
            while part := c.recv(65536):
                got += part
        except ConnectionResetError:
            pass  # closed with bytes of ours unread, which may overtake the answer
        return got


def test_starts_fast_and_stops_clean():
    with Server("a.hw") as s:
        same(s.raw("GET", "/readyz")[::2], (200, b"all shards are ready"), "ready")
        check(s.processor_seconds() < 1, f"ready after {s.processor_seconds()} s of computing")
        same(s.raw("PUT", "/collections/c", DOT)[0], 200, "created")
        same(upsert(s, 0, 10)[0], 200, "stored")
    with Server("a.hw") as s:  # everything is there again
        same(json.loads(s.raw("GET", "/collections/c")[2])["result"]["points_count"], 10, "points")


def test_a_busy_port_or_a_wrong_setting_ends_with_a_message():
    with Server("a.hw") as s:
        r = subprocess.run([HASHWOOD, "serve", "b.hw", "--http-port", str(s.port)],
                           capture_output=True, text=True)
        same(r.returncode, 1, "exit code")
        check("cannot listen" in r.stderr, r.stderr)
    for flags, says in ((["--queue-length", "0"], "from 1"), (["--http-prot", "1"], "http-port")):
        r = subprocess.run([HASHWOOD, "serve", "b.hw", *flags], capture_output=True, text=True)
        same(r.returncode, 2, "exit code")
        check(says in r.stderr, r.stderr)


def test_settings_are_printed():
    with open("c.yaml", "w") as f:
        f.write("service:\n  http_port: 7000\n  api_key: secret\n")
    env = dict(os.environ, HASHWOOD__SERVICE__HTTP_PORT="7001")
    r = subprocess.run([HASHWOOD, "serve", "--config-path", "c.yaml", "--print-config"],
                       capture_output=True, text=True, env=env)
    same(r.returncode, 0, r.stderr)
    check("  http_port: 7001\n" in r.stdout and "secret" not in r.stdout, r.stdout)


def is_read_at_random(pid):
    """Whether the system was told not to read the database's file ahead."""
    with open(f"/proc/{pid}/smaps") as f:
        maps = re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", f.read())
    flags = [re.search(r"VmFlags:(.*)", m)[1].split() for m in maps if "/data.mdb" in m]
    check(flags, "data.mdb is not mapped")
    return all("rr" in f for f in flags)


def test_the_file_is_read_ahead_unless_settings_say_otherwise():
    with open("ahead.yaml", "w") as f:
        f.write("storage:\n  read_ahead: false\n")
    for flags, at_random in (((), False), (("--read-ahead", "false"), True),
                             (("--config-path", "ahead.yaml"), True),
                             (("--config-path", "ahead.yaml", "--read-ahead", "true"), False)):
        with Server("ahead.hw", *flags) as s:
            same(is_read_at_random(s.process.pid), at_random, f"read at random with {flags}")


def test_a_warning_where_everybody_may_come_in():
    with Server("a.hw", "--host", "0.0.0.0") as s:
        with open(s.log_path) as f:
            check("ANYBODY" in f.read(), "no warning")
    with Server("a.hw", "--host", "0.0.0.0", "--api-key", "k", "--log-format", "json") as s:
        s.raw("GET", "/collections", headers={"api-key": "k"})
        said = s.log_until(lambda log: '"message":"request"' in log.replace(" ", ""))
        lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
        check(all("ANYBODY" not in line["message"] for line in lines), lines)
        line = lines[-1]
        same((line["message"], line["status"], line["path"]), ("request", 200, "/collections"), "log")


def test_keys_and_their_reload():
    with open("keys.yaml", "w") as f:
        f.write("service:\n  api_key: one\n  read_only_api_key: reader\n")
    with Server("a.hw", "--config-path", "keys.yaml", "--log-audit", "true") as s:
        def status(method, path, key, body=None):
            return s.raw(method, path, body, {"api-key": key} if key else {})[0]
        same(status("GET", "/", None), 200, "open")
        same(status("GET", "/collections", None), 401, "no key")
        same(status("GET", "/collections", "no"), 401, "wrong key")
        same(status("PUT", "/collections/d", "reader", DOT), 403, "reader writes")
        same(status("PUT", "/collections/d", "one", DOT), 200, "writer writes")
        same(status("GET", "/collections/d", "reader"), 200, "reader reads")
        with open("keys.yaml", "w") as f:
            f.write("service:\n  api_key: two\n")
        s.process.send_signal(signal.SIGHUP)
        wait_until(lambda: status("GET", "/collections", "two") == 200, "the new key is taken")
        same(status("GET", "/collections", "one"), 401, "old key")
        with open("keys.yaml", "w") as f:
            f.write("service:\n  apikey: three\n")
        s.process.send_signal(signal.SIGHUP)  # a broken file changes nothing
        s.log_until(lambda log: "settings stay as they were" in log and "AUDIT" in log)
        same(status("GET", "/collections", "two"), 200, "key after a broken file")


def test_a_signal_stops_it_whichever_thread_takes_it():
    s = Server("a.hw", env={"OPENBLAS_NUM_THREADS": "2"})  # its second thread is there before the server

    def takes_term(thread):
        with open(f"/proc/{s.process.pid}/task/{thread}/status") as f:
            blocked = int(re.search(r"SigBlk:\s*(\w+)", f.read()).group(1), 16)
        return not blocked >> (signal.SIGTERM - 1) & 1

    threads = [t for t in os.listdir(f"/proc/{s.process.pid}/task") if t != str(s.process.pid) and takes_term(t)]
    if not threads:  # one processor, or another BLAS
        s.stop()
        print("skipped: no thread but the first would take a signal")
        return
    same(ctypes.CDLL(None).tgkill(s.process.pid, int(threads[0]), signal.SIGTERM), 0, "sent")
    same(s.process.wait(60), 0, "exit code")
    check("stopping" in s.logged(), s.logged())
    s.stop()


def test_signals_while_it_stops_change_nothing():
    for _ in range(5):
        s = Server("a.hw")
        while s.process.poll() is None:
            s.process.send_signal(signal.SIGTERM)
        same(s.stop(), 0, "exit code")


def make_certificate(name):
    r = subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1",
                        "-keyout", "tls.key", "-out", "tls.crt"], capture_output=True)
    return r.returncode == 0


def test_tls_and_a_new_certificate():
    if subprocess.run(["which", "openssl"], capture_output=True).returncode != 0:
        print("skipped: no openssl to make certificates with")
        return
    check(make_certificate("first"), "no certificate")
    log = open("tls.log", "w")
    p = subprocess.Popen([HASHWOOD, "serve", "tls.hw", "--http-port", "0", "--enable-tls", "true",
                          "--tls-cert", "tls.crt", "--tls-key", "tls.key"], stdout=log, stderr=log)
    try:
        said = lambda: re.search(r"https://[^ ]*:(\d+)", open("tls.log").read())
        wait_until(lambda: said() or p.poll() is not None, "the server listens")
        check(said(), open("tls.log").read())
        port = int(said().group(1))

        def subject():
            context = ssl.create_default_context(cafile="tls.crt")
            c = http.client.HTTPSConnection("127.0.0.1", port, timeout=30, context=context)
            c.request("GET", "/healthz")
            same(c.getresponse().status, 200, "over TLS")
            return dict(x[0] for x in c.sock.getpeercert()["subject"])["commonName"]

        same(subject(), "first", "certificate")
        try:
            c = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            c.request("GET", "/healthz")
            c.getresponse()
            raise Failure("clear text was answered")
        except (http.client.HTTPException, ConnectionError, socket.timeout):
            pass
        check(make_certificate("second"), "no certificate")
        p.send_signal(signal.SIGHUP)

        def is_second():
            try:
                return subject() == "second"
            except ssl.SSLError:
                return False  # still the first, which the file no longer vouches for

        wait_until(is_second, "the new certificate is served")
    finally:
        p.send_signal(signal.SIGTERM)
        same(p.wait(60), 0, "exit code")


def test_cors_and_compression():
    with Server("a.hw") as s:
        status, headers, _ = s.raw("OPTIONS", "/collections", headers={
            "Origin": "http://page", "Access-Control-Request-Method": "PUT",
            "Access-Control-Request-Headers": "api-key,content-type"})
        same(status, 200, "preflight")
        same(headers["Access-Control-Allow-Origin"], "*", "origin")
        same(headers["Access-Control-Allow-Headers"], "api-key,content-type", "headers")
        _, headers, plain = s.raw("GET", "/metrics")
        check("Content-Encoding" not in headers, headers)
        _, headers, packed = s.raw("GET", "/metrics", headers={"Accept-Encoding": "gzip, br"})
        same(headers["Content-Encoding"], "gzip", "encoding")
        check(b"collections_total" in gzip.decompress(packed) and len(packed) < len(plain), "gzip")
        status, headers, body = s.raw("HEAD", "/healthz")
        same((status, body), (200, b""), "HEAD")
        status, headers, _ = s.raw("GET", "/", headers={"x-request-id": "mine-7"})
        same(headers["x-request-id"], "mine-7", "request id")


def test_bodies_and_heads_have_limits():
    with Server("a.hw", "--max-request-size-mb", "1") as s:
        same(s.raw("PUT", "/collections/c", DOT)[0], 200, "created")
        big = b"[" + b" " * (2 << 20) + b"]"
        same(s.raw("POST", "/collections/c/points/search", big)[0], 413, "length known")
        chunks = b"".join(b"10000\r\n" + b" " * 65536 + b"\r\n" for _ in range(40)) + b"0\r\n\r\n"
        got = ask(s, b"POST /collections/c/points/search HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                     b"Transfer-Encoding: chunked\r\n\r\n", chunks)
        check(got.startswith(b"HTTP/1.1 413"), got[:200])
        got = ask(s, b"POST /collections/c/points/search HTTP/1.1\r\nHost: x\r\n"
                     b"Expect: 100-continue\r\nContent-Length: 99999999999\r\n\r\n")
        check(got.startswith(b"HTTP/1.1 413"), got[:200])
        got = ask(s, b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        check(got[:12] in (b"HTTP/1.1 414", b""), got[:200])
        got = ask(s, b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 100000 + b"\r\n\r\n")
        check(got[:12] in (b"HTTP/1.1 431", b""), got[:200])
        for nonsense in (b"\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00" * 40,
                         b"GET / HTTP/9.9\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", s.port), timeout=60) as c:
                c.sendall(nonsense)
                c.shutdown(socket.SHUT_WR)
                got = c.recv(100)
                check(b" 500 " not in got, got)
        same(s.raw("GET", "/healthz")[0], 200, "still there")


def test_slow_callers_are_cut_off():
    with Server("a.hw", "--client-request-timeout-sec", "1", "--keep-alive-timeout-sec", "1") as s:
        slow = []
        for head in (b"GET /collec", b"GET /collections HTTP/1.1\r\nHost: x\r\nA: ",
                     b"POST /collections/c/points HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n"):
            c = socket.create_connection(("127.0.0.1", s.port), timeout=30)
            c.sendall(head)
            slow.append(c)
        end = time.monotonic() + 60
        answers = [b""] * len(slow)
        while slow:  # a byte now and then, which keeps plain idle timeouts from firing
            check(time.monotonic() < end, f"{len(slow)} slow callers are still there")
            for i, c in enumerate(slow):
                if c is None:
                    continue
                try:
                    c.sendall(b"a")
                    c.setblocking(False)
                    part = c.recv(1000)
                    c.setblocking(True)
                    answers[i] += part
                    if not part:
                        slow[i] = None
                except BlockingIOError:
                    c.setblocking(True)
                except ConnectionError:
                    slow[i] = None
            if all(c is None for c in slow):
                break
            time.sleep(0.2)
        check(any(b" 408 " in a for a in answers), answers)
        same(s.raw("GET", "/healthz")[0], 200, "still there")


def test_thousands_of_idle_connections():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(10000, hard - 600 if hard != resource.RLIM_INFINITY else 10000)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, wanted + 200)
                                                if hard != resource.RLIM_INFINITY
                                                else wanted + 200, hard))
    with Server("a.hw", "--keep-alive-timeout-sec", "600") as s:
        idle = []
        try:
            for i in range(wanted):
                c = socket.create_connection(("127.0.0.1", s.port), timeout=60)
                idle.append(c)
            for c in idle[::500]:
                c.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                check(c.recv(1000).startswith(b"HTTP/1.1 200"), "an idle one is not served")
            before = s.processor_seconds()
            same(s.raw("GET", "/healthz")[0], 200, "a new one is served")
            check(s.processor_seconds() - before < 1, "with much computing")
            with open(f"/proc/{s.process.pid}/status") as f:
                kb = int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))
            print(f"{len(idle)} idle connections, {kb / 1024:.0f} MB")
            check(kb < 600 * 1024, f"{kb} kB")
        finally:
            for c in idle:
                c.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_full_queue_is_503():
    with Server("a.hw", "--max-workers", "1", "--queue-length", "1", "--slow-query-secs",
                "0.001") as s:
        same(s.raw("PUT", "/collections/c", {"vectors": {"size": 64, "distance": "Dot"}})[0], 200, "")
        points = [{"id": i, "vector": [i % 7, *([1] * 63)]} for i in range(1000)]
        for first in range(0, 3000, 1000):
            for p in points:
                p["id"] += 1000
            same(s.raw("PUT", "/collections/c/points?wait=true", {"points": points})[0], 200, "")
        searches = json.dumps({"searches": [{"vector": [1] * 64, "limit": 100, "params": {"exact": True}}] * 100})
        codes = []

        def search():
            c = http.client.HTTPConnection("127.0.0.1", s.port, timeout=120)
            c.request("POST", "/collections/c/points/search/batch", searches,
                      {"Content-Type": "application/json"})
            answer = c.getresponse()
            answer.read()
            codes.append((answer.status, answer.getheader("Retry-After")))
            c.close()

        def crowd():
            threads = [threading.Thread(target=search) for _ in range(16)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            return 503 in {code for code, _ in codes}

        wait_until(crowd, "more come at once than the queue holds")
        counts = {code: [c for c, _ in codes].count(code) for code in {c for c, _ in codes}}
        same(set(counts), {200, 503}, counts)
        check(all(after for code, after in codes if code == 503), "Retry-After")
        same(s.raw("GET", "/healthz")[0], 200, "health is answered without a worker")
        log = s.log_until(lambda log: "slow search explained" in log)
        check("slow search collection=c" in log and '"plan"' in log, log[-3000:])


def test_term_while_loaded_finishes_what_was_begun():
    s = Server("term.hw")
    same(s.raw("PUT", "/collections/c", DOT)[0], 200, "created")
    acknowledged, broken = [], []

    def write(n):
        c = http.client.HTTPConnection("127.0.0.1", s.port, timeout=60)
        i = n * 1000000
        try:
            while True:
                body = json.dumps({"points": [{"id": i, "vector": [1, 2, 3, 4]}]})
                c.request("PUT", "/collections/c/points?wait=true", body)
                answer = c.getresponse()
                answer.read()
                if answer.status == 200:
                    acknowledged.append(i)
                elif answer.status != 503:
                    broken.append(answer.status)
                i += 1
        except (OSError, http.client.HTTPException):
            c.close()

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    wait_until(lambda: len(acknowledged) > 100, "writes are acknowledged")
    same(s.stop(), 0, "exit code")
    for t in threads:
        t.join()
    same(broken, [], "codes other than 200 and 503")
    with Server("term.hw") as s:
        check_stored(s, acknowledged)


def test_requests_that_come_while_it_stops_are_answered_or_cut_off():
    def ask_late(c, seconds):
        time.sleep(seconds)
        try:
            c.request("GET", "/stats")
            codes.append(c.getresponse().status)
        except (OSError, http.client.HTTPException):
            codes.append(0)

    codes = []
    for _ in range(8):
        s = Server("late.hw")
        kept = [http.client.HTTPConnection("127.0.0.1", s.port, timeout=30) for _ in range(40)]
        for c in kept:
            c.request("GET", "/stats")
            c.getresponse().read()
        threads = [threading.Thread(target=ask_late, args=(c, i / 2000)) for i, c in enumerate(kept)]
        for t in threads:
            t.start()
        same(s.stop(), 0, "exit code")
        for t in threads:
            t.join()
    check(set(codes) <= {0, 200, 503}, f"codes {sorted(set(codes))}")


def check_stored(s, ids):
    check(len(ids) > 0, "nothing was written")
    for first in range(0, len(ids), 1000):
        some = ids[first:first + 1000]
        got = json.loads(s.raw("POST", "/collections/c/points", {"ids": some})[2])["result"]
        same(len(got), len(some), f"acknowledged points of {len(ids)}")


def test_after_a_kill_every_acknowledged_write_is_there():
    acknowledged = []
    for round_ in range(3):
        s = Server("kill.hw")
        if round_ == 0:
            same(s.raw("PUT", "/collections/c", DOT)[0], 200, "created")
        stop = threading.Event()

        def write(n, port=s.port):
            c = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            i = (round_ * 10 + n) * 1000000
            try:
                while not stop.is_set():
                    points = [{"id": i + j, "vector": [1, 2, 3, j]} for j in range(20)]
                    c.request("PUT", "/collections/c/points?wait=true",
                              json.dumps({"points": points}))
                    answer = c.getresponse()
                    if answer.read() and answer.status == 200:
                        acknowledged.extend(p["id"] for p in points)
                    i += 20
            except (OSError, http.client.HTTPException):
                c.close()

        threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
        for t in threads:
            t.start()
        before = len(acknowledged)
        wait_until(lambda: len(acknowledged) > before + 1000, "writes are acknowledged")
        same(s.stop(signal.SIGKILL), -signal.SIGKILL, "killed")
        stop.set()
        for t in threads:
            t.join()
    with Server("kill.hw") as s:
        seconds = s.processor_seconds()
        print(f"{len(acknowledged)} writes, ready after {seconds} s of computing")
        check(seconds < 1, f"ready after {seconds} s of computing")
        check_stored(s, acknowledged)
    r = subprocess.run([HASHWOOD, "check", "kill.hw"], capture_output=True, text=True)
    same(r.returncode, 0, r.stdout + r.stderr)


def test_calls_about_the_server_fit_the_published_description():
    with Server("a.hw") as s:
        s.ok("PUT", "/collections/t", DOT)
        upsert(s, 0, 3, "t")
        for path in ("/telemetry", "/telemetry?details_level=4&per_collection=true",
                     "/telemetry?details_level=9&anonymize=true", "/cluster/telemetry", "/issues",
                     "/quotas"):
            s.ok("GET", path)
        same(s.ok("GET", "/cluster"), {"status": "disabled"}, "cluster")
        told = s.ok("GET", "/telemetry?details_level=4&per_collection=true&anonymize=true")
        check("\"t\"" not in json.dumps(told), told)
        told = s.ok("GET", "/telemetry?details_level=0")["requests"]["rest"]["responses"]
        check(told["PUT /collections/{collection_name}/points"]["200"]["count"] > 0, told)
        same(s.ok("DELETE", "/issues"), True, "issues cleared")
        s.fails(405, "POST", "/cluster/recover", says="standalone")
        s.fails(405, "DELETE", "/cluster/peer/1", says="standalone")
        s.fails(404, "GET", "/collections/t/nothing", says="no such path")
        status, version = s.call("GET", "/")
        same((status, sorted(version)), (200, ["commit", "title", "version"]), "version")


def test_metrics_are_what_prometheus_reads():
    if subprocess.run(["which", "promtool"], capture_output=True).returncode != 0:
        print("skipped: no promtool")
        return
    with Server("a.hw", "--recall-sample", "1") as s:
        s.raw("PUT", "/collections/m", DOT)
        upsert(s, 0, 5, "m")
        s.raw("POST", "/collections/m/points/search", {"vector": [1, 2, 3, 4], "limit": 3})
        s.raw("GET", "/no\"such\\path")
        for path in ("/metrics", "/metrics?per_collection=true"):
            _, headers, text = s.raw("GET", path)
            r = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True)
            said = [line for line in (r.stdout + r.stderr).decode().splitlines()
                    # two names that are Qdrant's
                    if not re.match(r"collections(_vector)?_total non-counter", line)]
            same(said, [], path)
        text = text.decode()
        for name in ("app_info{", "collections_total ", "collection_points{id=\"m\"} 5",
                     "rest_responses_total{method=\"POST\",endpoint=\"/collections/"
                     "{collection_name}/points/search\",status=\"200\",collection=\"m\"} 1",
                     "hashwood_searches_total ", "memory_resident_bytes ", "process_open_fds "):
            check(name in text, f"{name} is not in {text}")


main(globals())
