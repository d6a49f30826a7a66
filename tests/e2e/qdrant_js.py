"""The published JavaScript client, unchanged, against the server; the tour is qdrant_js.mjs."""

import os
import shutil
import subprocess
import sys

import _packages
from _rest import *

if not shutil.which("node"):
    _packages.skip("node is not there")
FOLDER = _packages.node("@qdrant/js-client-rest@1.19.0")
TOUR = os.path.join(os.path.dirname(os.path.abspath(__file__)), "qdrant_js.mjs")


def test_tour():
    with Server() as s:
        # Beside its packages, where Node looks for them.
        script = shutil.copy(TOUR, os.path.join(FOLDER, "tour.mjs"))
        p = subprocess.run(["node", script, s.url, os.path.abspath("served.hw/snapshots")], text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
        sys.stdout.write(p.stdout)
        same(p.returncode, 0, p.stdout[-3000:])


main(globals())
