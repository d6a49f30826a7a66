"""A server of the test's own, and plain HTTP to it. Every JSON answer is validated (_openapi.py)."""

import http.client
import json
import os
import re
import signal
import subprocess
import time
import urllib.parse

import _openapi
from _cli import HASHWOOD, Failure, check, main, same, seed, wait_until  # noqa: F401 (for the scripts)


class Server:
    """with Server() as s: s.ok("GET", "/collections")"""

    def __init__(self, where="served.hw", *flags, env=None):
        self.log_path = os.path.abspath(f"{os.path.basename(where)}.log")
        self.log = open(self.log_path, "ab")
        at = self.log.tell()
        self.process = subprocess.Popen(
            [HASHWOOD, "serve", where, "--http-port", "0", *flags],
            stdout=self.log, stderr=self.log, env=dict(os.environ, **(env or {})))
        self.port = self._port(at)
        self.url = f"http://127.0.0.1:{self.port}"
        self.connection = None
        self.headers = {}

    def _port(self, at):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with open(self.log_path, "rb") as f:
                f.seek(at)
                said = f.read().decode(errors="replace")
            found = re.search(r"http://[^ ]*?:(\d+)", said)
            if found:
                return int(found.group(1))
            if self.process.poll() is not None:
                raise Failure(f"the server ended with {self.process.returncode}: {said}")
            time.sleep(0.02)
        raise Failure("the server did not start")

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        code = self.stop()
        if kind is None:
            same(code, 0, "exit code of the server")
            said = self.logged()
            check("Sanitizer" not in said and " 500 " not in said, said[-3000:])

    def logged(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def log_until(self, is_there):
        """The log, once is_there(log): lines are written when their answer is on its way already."""
        wait_until(lambda: is_there(self.logged()), "the log says what was expected")
        return self.logged()

    def processor_seconds(self):
        """What the process has computed, which tells its work on a busy machine as well."""
        with open(f"/proc/{self.process.pid}/stat") as f:
            user, system = f.read().rsplit(")", 1)[1].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def stop(self, how=signal.SIGTERM):
        if self.connection:
            self.connection.close()
        if self.process.poll() is None:
            self.process.send_signal(how)
        code = self.process.wait(60)
        self.log.close()
        return code

    def raw(self, method, path, body=None, headers=None):
        """(status, headers, bytes)"""
        all_headers = dict(self.headers, **(headers or {}))
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        if body is not None:
            all_headers.setdefault("Content-Type", "application/json")
            body = body.encode() if isinstance(body, str) else body
        for attempt in (1, 2):
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
            try:
                self.connection.request(method, path, body, all_headers)
                answer = self.connection.getresponse()
                data = answer.read()
                break
            except (ConnectionError, http.client.HTTPException):
                self.connection.close()
                self.connection = None
                if attempt == 2:
                    raise
        return answer.status, dict(answer.getheaders()), data

    def call(self, method, path, body=None, headers=None):
        """(status, answer); the answer is parsed when it is JSON, and validated."""
        status, got, data = self.raw(method, path, body, headers)
        if not got.get("Content-Type", "").startswith("application/json"):
            return status, data
        answer = json.loads(data)
        wrong = _openapi.validate(method, path, status, answer)
        check(not wrong, f"{wrong}\n{data[:2000]!r}")
        check(status != 500, f"{method} {path}: {data!r}")
        return status, answer

    def ok(self, method, path, body=None):
        """The result of a call that must succeed."""
        status, answer = self.call(method, path, body)
        check(status == 200, f"{method} {path} {json.dumps(body)[:500]}: {status} {answer}")
        same(answer["status"], "ok", path)
        check(isinstance(answer["time"], float), answer)
        return answer["result"]

    def fails(self, code, method, path, body=None, says=()):
        """Must be refused with the code and a sentence that contains each of `says`."""
        status, answer = self.call(method, path, body)
        what = f"{method} {path} {json.dumps(body)[:500]}: {status} {answer}"
        same(status, code, what)
        sentence = answer["status"]["error"] if isinstance(answer, dict) else answer.decode()
        for text in [says] if isinstance(says, str) else says:
            check(text in sentence, f"{what}\nexpected: {text}")
        return sentence


def quote(name):
    return urllib.parse.quote(name, safe="")


def multipart(name, data):
    """Body and header of a form with one file."""
    edge = "----hashwood-test-edge"
    body = (f'--{edge}\r\nContent-Disposition: form-data; name="snapshot"; filename="{name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n").encode() + data + f"\r\n--{edge}--\r\n".encode()
    return body, {"Content-Type": f"multipart/form-data; boundary={edge}"}


if _openapi.why_not:
    print("answers are not validated:", _openapi.why_not)
