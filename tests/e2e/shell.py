"""The shell: lines from -c and from standard input, dot commands, a real terminal."""

import json
import os
import pty
import select
import subprocess
import time

from _cli import *


def db():
    run("create", "a.hw", "c", "--dim", 2, "--metric", "l2")
    for i in range(3):
        run("put", "a.hw", "c", "--id", i, "--vector", f"[{i}, 0]", "--payload", json.dumps({"n": i}))


def test_commands_from_the_command_line():
    db()
    text = out("shell", "a.hw", "-c", ".mode json", "-c", "search c --id 0 -k 1", "-c", "count c")
    lines = [json.loads(line) for line in text.splitlines()]
    same(lines[0]["hits"][0]["id"], 1)
    same(lines[1], {"count": 3})


def test_commands_from_standard_input():
    db()
    text = out("shell", "a.hw", stdin="# a comment\n\n.use c\nput --id 9 --vector '[9, 9]'\n"
                                      ".mode csv\nget 9 --with vector\ncount\n.quit\ncount nonsense\n")
    check('9,"[9,9]"' in text and text.splitlines()[-1] == "4", text)
    same(js("count", "a.hw", "c"), {"count": 4})


def test_the_first_failure_ends_the_shell():
    db()
    p = run("shell", "a.hw", stdin="get c 77\ndelete c 0\n", code=1)
    check("no point `77`" in p.stderr)
    same(js("count", "a.hw", "c"), {"count": 3})
    fails("shell", "a.hw", "-c", "get", code=2)
    fails("shell", "a.hw", "-c", ".mdoe json", code=2, says="did you mean `.mode`?")
    fails("shell", "a.hw", "-c", "get 'c", code=2, says="quote")
    for command in ("shell x", "serve"):
        fails("shell", "a.hw", "-c", command, code=2, says="process of its own")


def test_dot_commands():
    db()
    text = out("shell", "a.hw", "-c", ".collections", "-c", ".schema c", "-c", ".help", "-c", ".timer on",
               "-c", ".explain on", "-c", "search c --id 0")
    for expected in ("collection", "metric: l2", ".mode", "plan", " s\n"):
        check(expected in text, f"{expected} is missing in {text}")
    run("shell", "a.hw", "-c", ".export c out.jsonl", "-c", "create d --dim 2 --metric l2",
        "-c", ".import d out.jsonl", "-c", ".use d")
    same(js("count", "a.hw", "d"), {"count": 3})
    fails("shell", "a.hw", "-c", ".use nope", says="nope")


def test_read_only():
    db()
    p = run("shell", "a.hw", "--readonly", "-c", "count c", "-c", "delete c 0", code=1)
    check("3" in p.stdout)
    same(js("count", "a.hw", "c"), {"count": 3})
    fails("shell", "none.hw", "--readonly", "-c", ".collections", says="none.hw")


def test_a_new_database():
    out("shell", "new.hw", "-c", "create c --dim 2", "-c", "put c --id 1 --vector '[1, 0]'")
    same(js("count", "new.hw", "c"), {"count": 1})


def read_until(fd, text, seconds=60):
    seen = b""
    end = time.monotonic() + seconds
    while text not in seen and time.monotonic() < end:
        if select.select([fd], [], [], 0.2)[0]:
            try:
                seen += os.read(fd, 4096)
            except OSError:
                break
    check(text in seen, f"{text!r} did not appear, only {seen!r}")


def test_at_a_terminal_there_is_a_prompt_and_history():
    db()
    master, slave = pty.openpty()
    env = dict(os.environ, XDG_STATE_HOME=os.path.abspath("state"), TERM="xterm")
    p = subprocess.Popen([HASHWOOD, "shell", "a.hw"], stdin=slave, stdout=slave, stderr=slave, env=env)
    os.close(slave)
    read_until(master, b"a.hw> ")
    os.write(master, b".use c\n")
    read_until(master, b"a.hw/c> ")
    os.write(master, b"get 2 --wi\tnone\n")
    read_until(master, b"a.hw/c> ")
    os.write(master, b".quit\n")
    same(p.wait(60), 0)
    os.close(master)
    if os.path.exists("state/hashwood/history"):  # absent in a build without libedit
        check(".use c" in open("state/hashwood/history").read().replace("\\040", " "))
        same(os.stat("state/hashwood/history").st_mode & 0o077, 0)


if __name__ == "__main__":
    main(globals())
