"""Python packages that only tests want, installed once under the build folder."""

import fcntl
import hashlib
import os
import subprocess
import sys

BUILD = os.environ.get("HASHWOOD_BUILD") or os.path.dirname(
    os.path.abspath(os.environ.get("HASHWOOD", "build/hashwood")))


def skip(why):
    """Ends the script with the code that says skipped, naming why."""
    print("skipped:", why)
    sys.exit(77)


def python(*names, needed=True):
    """Makes the packages importable; where they cannot be installed the script ends as skipped, or
    (needed=False) gives False."""
    folder = os.path.join(BUILD, "packages", "python-" + hashlib.sha256(
        (" ".join(names) + sys.version).encode()).hexdigest()[:12])
    os.makedirs(folder, exist_ok=True)
    with open(folder + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = os.path.join(folder, ".installed")
        if not os.path.exists(done):
            p = subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-input",
                                "--disable-pip-version-check", "--root-user-action=ignore",
                                "--retries", "1", "--timeout", "20", "--target", folder, *names],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if p.returncode != 0:
                why = f"{', '.join(names)} cannot be installed: {p.stdout.strip()[-300:]}"
                if needed:
                    skip(why)
                return False
            open(done, "w").close()
    sys.path.insert(0, folder)
    return True


def node(*names):
    """The folder whose node_modules has the packages; ends as skipped where they cannot be had."""
    folder = os.path.join(BUILD, "packages", "node-" + hashlib.sha256(
        " ".join(names).encode()).hexdigest()[:12])
    os.makedirs(folder, exist_ok=True)
    with open(folder + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = os.path.join(folder, ".installed")
        if not os.path.exists(done):
            try:
                p = subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund",
                                    "--ignore-scripts", "--prefix", folder, *names],
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            except FileNotFoundError:
                skip("npm is not there")
            if p.returncode != 0:
                skip(f"{', '.join(names)} cannot be installed: {p.stdout.strip()[-300:]}")
            open(done, "w").close()
    return folder
