"""The published JavaScript client, unchanged, against the server; the tour is qdrant_js.mjs."""

import os
import shutil
import subprocess
import sys

import _packages
from _rest import *

if not shutil.which("node"):
    _packages.skip("node is not there")
TOUR = os.path.join(os.path.dirname(os.path.abspath(__file__)), "qdrant_js.mjs")
NEW, OLD = (_packages.node("@qdrant/js-client-rest@" + v) for v in ("1.19.0", "1.14.0"))


def tour(folder):
    with Server() as s:
        # Beside its packages, where Node looks for them.
        script = shutil.copy(TOUR, os.path.join(folder, "tour.mjs"))
        p = subprocess.run(["node", script, s.url, os.path.abspath("served.hw/snapshots")], text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
        sys.stdout.write(p.stdout)
        same(p.returncode, 0, p.stdout[-3000:])


def test_tour():
    tour(NEW)


def test_tour_of_a_client_that_has_the_old_calls():
    tour(OLD)


main(globals())
