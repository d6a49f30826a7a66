#!/usr/bin/env python3
"""hashwood beside its peers: makes data, builds indexes, measures, reports. `make bench` calls it.

    bench.py [--work A,B,Bp,C] [--hdf5 FILE] [--parts curves,uses,...] [options]

    --rows N       only the first N rows of each set: a quick try
    --seconds S    a setting of an engine is measured so long, --passes P times (2 and 3)
    --no-builds    peers whose indexes are not there are left out, and named
    --report       measures nothing
    --docs         renews the tables of docs/performance.md and the plots of docs/images

Everything lands under build/bench: data sets, built indexes (kept, so that a second run only
searches; hashwood's own is built again when the library changed), <set>/curves.json,
results.json, results.md and the plots.
"""
import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OUT = f"{ROOT}/build/bench"
TOOLS = f"{OUT}/bin"
LIBRARY = f"{ROOT}/build/libhashwood.so"
LEVELS = (0.90, 0.95, 0.98, 0.99)
GROWTH = (10000, 100000)
ENGINES = {  # in the order of the plots' colours
    "hashwood": "hashwood",
    "hnswlib-16": "hnswlib M=16",
    "hnswlib-32": "hnswlib M=32",
    "hnswlib-32-200": "hnswlib M=32, efC=200",
    "faiss-hnsw-16": "faiss HNSWFlat M=16",
    "faiss-fastscan-2": "faiss IVFPQFastScan d/2 + refine",
    "faiss-fastscan-2-fine": "faiss IVFPQFastScan d/2 + refine, 4 sqrt(n) lists",
    "faiss-fastscan-4": "faiss IVFPQFastScan d/4 + refine",
    "faiss-flat": "faiss Flat",
}
# What we want to be ahead of the best hnswlib by, at recall .95 and .99, and of faiss at both.
WANTED = {"A": (4.0, 5.5), "B": (2.5, 5.0), "Bp": (3.0, 4.0), "C": (4.0, 6.0)}
WANTED_FAISS = 1.5
# 400 for a million vectors takes 25 minutes of processor time; 200 takes 12.
LARGE = 500000


def environment(**more):
    # Debian's OpenBLAS does not know newer processors and falls back to SSE3 there.
    flags = open("/proc/cpuinfo").read()
    known = {"OPENBLAS_CORETYPE": "SKYLAKEX"} if "avx512bw" in flags else {}
    return {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", **known, **more}


def engines_of(info):
    skip = ["hnswlib-32" if info["rows"] > LARGE else "hnswlib-32-200"]
    if info["dim"] < 256:  # of 100 dimensions, codes so short reached no .95 at any setting
        skip.append("faiss-fastscan-4")
    return [e for e in ENGINES if e not in skip]


def say(text):
    print(text, flush=True)


def load(path, default=None):
    if not os.path.exists(path):
        return default
    with open(path) as f:
        return json.load(f)


# ---- data and indexes ----

def make_set(*what):
    env = environment(MAKE_DATA=f"{TOOLS}/make_data", OPENBLAS_NUM_THREADS="0")
    if subprocess.run([sys.executable, f"{ROOT}/bench/sets.py", OUT, *what], env=env).returncode:
        sys.exit(1)


def remove(path):
    if os.path.isdir(path):
        shutil.rmtree(path)
    elif os.path.exists(path):
        os.remove(path)


def is_built(name, engine):
    return os.path.exists(f"{OUT}/{name}/build.{engine}")


def build(name, engine, info):
    """Builds an index unless it is there; its processor seconds are kept beside it."""
    folder = f"{OUT}/{name}"
    note, index = f"{folder}/build.{engine}", f"{folder}/index.{engine}"
    if engine.startswith("hashwood") and os.path.exists(note) and \
            os.path.getmtime(note) < os.path.getmtime(LIBRARY):
        remove(note)
    if is_built(name, engine):
        return
    remove(index)
    say(f"building {engine} of {name}")
    done = subprocess.run([f"{TOOLS}/peers", "build", engine, folder], check=True,
                          stdout=subprocess.PIPE, text=True,
                          env=environment(METRIC=info["metric"]))
    with open(note, "w") as f:
        f.write(done.stdout)


def build_facts(name, engine):
    path = f"{OUT}/{name}/build.{engine}"
    if not os.path.exists(path):
        return {}
    with open(path) as f:
        return {k: float(v) for k, v in (line.split() for line in f)}


def bytes_of(path):
    if os.path.isdir(path):
        return sum(os.stat(f"{path}/{f}").st_blocks * 512 for f in os.listdir(path))
    return os.path.getsize(path) if os.path.exists(path) else 0


# ---- measuring ----

def run_peers(name, engines, out, env, seconds, passes, *options):
    subprocess.run([f"{TOOLS}/peers", "run", f"{OUT}/{name}", out, *engines, f"seconds={seconds}",
                    f"passes={passes}", *options], check=True, env=env)
    result = load(out)
    result.update(when=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), commit=commit(),
                  load=os.getloadavg()[1], seconds=seconds, passes=passes)
    with open(out, "w") as f:
        json.dump(result, f)
    return result


def measure_curves(name, info, a):
    engines = engines_of(info)
    build(name, "hashwood", info)
    for engine in [] if a.no_builds else engines:
        build(name, engine, info)
    engines = [e for e in engines if is_built(name, e)]
    say(f"measuring {', '.join(engines)} on {name}")
    run_peers(name, engines, f"{OUT}/{name}/curves.json", environment(), a.seconds, a.passes)
    run_peers(name, ["hashwood"], f"{OUT}/{name}/k100.json", environment(), a.seconds, 1, "k=100")


def measure_avx2(name, info, a):
    """The same library with 256-bit kernels and with the widest, passes in turns."""
    build(name, "hashwood", info)
    best = {}
    for _ in range(a.passes):
        for kernels, env in (("widest", {}), ("avx2", {"HASHWOOD_KERNELS": "avx2"})):
            # the first pass of a process brings the file's pages to its map; the second counts
            points = run_peers(name, ["hashwood"], f"{OUT}/{name}/pass.json", environment(**env),
                               a.seconds, 2)["engines"][0]["points"]
            best[kernels] = [min(pair, key=lambda p: p["cpu_us"])
                             for pair in zip(points, best.get(kernels, points))]
    os.remove(f"{OUT}/{name}/pass.json")
    with open(f"{OUT}/{name}/avx2.json", "w") as f:
        json.dump(best, f)


def measure_growth(name, info, a):
    for rows in GROWTH:
        if name == "B":
            part = f"{name}/first-{rows}"
            make_set("first", name, str(rows))
            build(part, "hashwood", info)
            run_peers(part, ["hashwood"], f"{OUT}/{part}/curves.json", environment(), a.seconds,
                      a.passes)


def measure_uses(name, info, a):
    """Opening, threads, filters, little memory: what only a database does (bench/uses.c)."""
    build(name, "hashwood", info)
    build(name, "hashwood-filter", info)
    out = {}
    for section in ("open", "threads", "filter", "cold"):
        index = "index.hashwood-filter" if section == "filter" else "index.hashwood"
        done = subprocess.run([f"{TOOLS}/uses", section, f"{OUT}/{name}/{index}",
                               f"{OUT}/{name}/query.npy"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, env=environment())
        out[section] = json.loads(done.stdout) if done.returncode == 0 else \
            {section: f"not measured: {done.stderr.strip()}"}
    with open(f"{OUT}/{name}/uses.json", "w") as f:
        json.dump(out, f)


def measure_ckdtree(name, info, a):
    """SciPy's tree, exact; few queries suffice where each takes long."""
    path = f"{OUT}/{name}/ckdtree.json"
    if os.path.exists(path):
        return
    say(f"measuring cKDTree on {name}")
    import numpy as np
    from scipy.spatial import cKDTree
    base, query = np.load(f"{OUT}/{name}/base.npy"), np.load(f"{OUT}/{name}/query.npy")
    start = time.process_time()
    tree = cKDTree(base)
    built = time.process_time() - start
    start, n = time.process_time(), 0
    while n < len(query) and time.process_time() - start < 20:
        tree.query(query[n], k=10)
        n += 1
    with open(path, "w") as f:
        json.dump({"build": built, "cpu_us": (time.process_time() - start) / n * 1e6}, f)


# ---- reporting ----

def frontier(points):
    """Settings that no other beats in both recall and speed, by recall."""
    best, out = 1e30, []
    for p in sorted(points, key=lambda p: (-p["recall"], p["cpu_us"])):
        if p["cpu_us"] < best:
            best = p["cpu_us"]
            out.append(p)
    return out[::-1]


def qps_at(points, recall):
    """Queries a second at a recall, between the two settings around it; None if not reached."""
    f = frontier(points)
    for i, p in enumerate(f):
        if p["recall"] >= recall:
            if i == 0:
                return 1e6 / p["cpu_us"]
            q = f[i - 1]
            t = (recall - q["recall"]) / (p["recall"] - q["recall"])
            return 1e6 / (q["cpu_us"] * (p["cpu_us"] / q["cpu_us"]) ** t)
    return None


def best_of(results, names, recall):
    found = [qps_at(results[n], recall) for n in names if n in results]
    return max((q for q in found if q), default=None)


def commit():
    return subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT,
                          stdout=subprocess.PIPE, text=True).stdout.strip()


def machine():
    info = open("/proc/cpuinfo").read()
    model = next((line.split(":")[1].strip() for line in info.splitlines()
                  if line.startswith("model name")), platform.machine())
    versions = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}, ", "libhnswlib-dev",
                               "libfaiss-dev", "libopenblas0", "liblmdb0", "g++"],
                              stdout=subprocess.PIPE, text=True).stdout.strip(" ,")
    system = f"{platform.system()} {platform.release().partition('-')[0]}"
    return {"cpu": model, "cores": os.cpu_count(), "system": system, "versions": versions}


def whole(x):
    return f"{x:,.0f}" if x else "-"


def ratio(a, b, digits=1):
    return f"{a / b:.{digits}f}x" if a and b else "-"


def is_scan(engine):
    return "fastscan" in engine


def is_hnswlib(engine):
    return engine.startswith("hnswlib")


def wanted_table(names):
    """How far ahead, wanted / measured; what falls short is bold."""
    lines = ["| wanted / measured | " + " | ".join(n for n, _ in names) + " |",
             "|" + " --- |" * (len(names) + 1)]
    for at, recall in enumerate((0.95, 0.99)):
        for label, is_peer in (("hnswlib", is_hnswlib), ("faiss IVFPQFastScan", is_scan)):
            cells = []
            for name, _ in names:
                curves = load(f"{OUT}/{name}/curves.json", {"engines": []})
                points = {e["name"]: e["points"] for e in curves["engines"]}
                peer = best_of(points, filter(is_peer, points), recall)
                own = qps_at(points["hashwood"], recall) if points else None
                want = WANTED[name][at] if is_peer is is_hnswlib else WANTED_FAISS
                mark = "**" if not (own and peer and own >= want * peer) else ""
                cells.append(f"{want:g} / {mark}{ratio(own, peer)}{mark}")
            lines.append(f"| the best {label}, at {recall:.2f} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def curves_table(name, info, curves):
    by_name = {e["name"]: e["points"] for e in curves["engines"]}
    hnsw, scan = list(filter(is_hnswlib, by_name)), list(filter(is_scan, by_name))
    lines = [f"| {name}: {info['rows']:,} x {info['dim']}, {info['metric']} | " +
             " | ".join(f"{r:.2f}" for r in LEVELS) + " | build, s | size, MB |",
             "|" + " --- |" * (len(LEVELS) + 3)]
    for engine in engines_of(info):
        label = ENGINES[engine]
        if engine not in by_name:
            lines.append(f"| {label} | not measured" + " |" * (len(LEVELS) + 2))
            continue
        size = bytes_of(f"{OUT}/{name}/index.{engine}") / 1e6
        lines.append(f"| {label} | " +
                     " | ".join(whole(qps_at(by_name[engine], r)) for r in LEVELS) +
                     f" | {build_facts(name, engine).get('build', 0):,.1f} | {size:,.0f} |")
    tree = load(f"{OUT}/{name}/ckdtree.json")
    cells = [whole(1e6 / tree["cpu_us"])] * len(LEVELS) if tree else ["not measured", "", "", ""]
    lines.append(f"| SciPy cKDTree, exact | {' | '.join(cells)} | " +
                 (f"{tree['build']:,.1f} | |" if tree else "| |"))
    own = [qps_at(by_name["hashwood"], r) for r in LEVELS]
    for label, peers in (("best hnswlib", hnsw), ("best faiss IVFPQFastScan", scan)):
        lines.append(f"| **hashwood / {label}** | " +
                     " | ".join(ratio(q, best_of(by_name, peers, r)) for q, r in zip(own, LEVELS)) +
                     " | | |")
    return (f"{name} at commit {curves['commit']}, {curves['when']}, load {curves['load']:.1f}; each "
            f"setting {curves['passes']} times {curves['seconds']:g} s.\n\n" + "\n".join(lines))


def asked_table(names):
    lines = ["| recall asked | " + " | ".join(f"{n}, k={k}" for n, _ in names for k in (10, 100)) +
             " |", "|" + " --- |" * (2 * len(names) + 1)]
    for r in LEVELS:
        cells = []
        for name, _ in names:
            for file in ("curves", "k100"):
                result = load(f"{OUT}/{name}/{file}.json")
                found = [p["recall"] for e in (result or {"engines": []})["engines"]
                         if e["name"] == "hashwood" for p in e["points"]
                         if abs(float(p["setting"].split("=")[1]) - r) < 1e-6]
                cells.append(f"{found[0]:.4f}" if found else "-")
        lines.append(f"| {r:.2f} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def compared_table(names):
    """AVX2 and growth, from runs of hashwood alone."""
    lines = ["| hashwood alone | 0.95 | 0.99 |", "| --- | --- | --- |"]
    for name, info in names:
        by_kernels = load(f"{OUT}/{name}/avx2.json")
        if by_kernels:
            qps = {k: [qps_at(p, r) for r in (0.95, 0.99)] for k, p in by_kernels.items()}
            lines.append(f"| {name}, widest kernels | {' | '.join(map(whole, qps['widest']))} |")
            lines.append(f"| {name}, AVX2 (share) | " + " | ".join(
                f"{whole(n)} ({ratio(n, w, 2)})" for n, w in zip(qps["avx2"], qps["widest"])) +
                " |")
        for rows in GROWTH:
            part = load(f"{OUT}/{name}/first-{rows}/curves.json")
            if part:
                cells = [whole(qps_at(part["engines"][0]["points"], r)) for r in (0.95, 0.99)]
                lines.append(f"| {name}, first {rows:,} rows | " + " | ".join(cells) + " |")
    return "\n".join(lines) if len(lines) > 2 else ""


def uses_table(names):
    lines = []
    for name, info in names:
        uses = load(f"{OUT}/{name}/uses.json")
        if not uses:
            continue
        if not lines:
            lines = ["| set | use | figure |", "| --- | --- | --- |"]
        for section, facts in uses.items():
            for key, value in (facts or {}).items():
                lines.append(f"| {name} | {key} | {value} |")
    return "\n".join(lines)


def plot(name, info, curves, path):
    import matplotlib
    matplotlib.use("svg")
    import matplotlib.pyplot as plt
    from matplotlib import ticker
    plt.rcParams["svg.hashsalt"] = "hashwood"
    fig, ax = plt.subplots(figsize=(9, 4.2))
    for e in curves["engines"]:
        f = [p for p in frontier(e["points"]) if p["recall"] >= 0.7]
        own = e["name"] == "hashwood"
        if not f or e["name"] == "faiss-flat":
            continue
        # 1 - recall on a falling logarithmic scale spreads what matters: .9, .99, .999
        ax.plot([max(1 - p["recall"], 4e-4) for p in f], [1e6 / p["cpu_us"] for p in f],
                marker="o" if own else ".", linewidth=2.4 if own else 1.2,
                color=f"C{list(ENGINES).index(e['name'])}",
                label=ENGINES[e["name"]], zorder=5 if own else 2)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(0.3, 4e-4)
    ticks = [0.3, 0.1, 0.05, 0.02, 0.01, 0.005, 0.001]
    ax.set_xticks(ticks, [f"{1 - t:g}" for t in ticks])
    ax.minorticks_off()
    ax.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(lambda y, _: f"{y:,.0f}")
    ax.set_xlabel("recall@10")
    ax.set_ylabel("queries a second, one thread")
    ax.set_title(f"{name}: {info['rows']:,} x {info['dim']}, {info['metric']}", loc="left")
    ax.grid(True, which="major", color="#dddddd", linewidth=0.6)
    missing = [ENGINES[n] for n in engines_of(info)
               if n not in [e["name"] for e in curves["engines"]]]
    for label in missing:
        ax.plot([], [], linestyle=":", color="#aaaaaa", label=f"not measured: {label}")
    ax.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1))
    fig.tight_layout()
    fig.savefig(path, metadata={"Date": None})
    plt.close(fig)


def report(works, docs):
    names = [(n, load(f"{OUT}/{n}/set.json")) for n in works]
    here = machine()
    parts = [f"{here['cpu']}, {here['cores']} cores; {here['system']}; {here['versions']}. Queries a "
             "second of one thread at recall@10, by processor time; -: no setting reached it."]
    known = [n for n in names if n[0] in WANTED]
    if known:
        parts.append(wanted_table(known))
    for name, info in names:
        curves = load(f"{OUT}/{name}/curves.json")
        if not curves:
            parts.append(f"{name}: curves were not measured.")
            continue
        parts.append(curves_table(name, info, curves))
        plot(name, info, curves, f"{OUT}/{name}.svg")
        parts.append(f"![{name}](images/bench-{name}.svg)")
        if docs:
            shutil.copy(f"{OUT}/{name}.svg", f"{ROOT}/docs/images/bench-{name}.svg")
    parts += [asked_table(names), compared_table(names)]
    page_text = "\n\n".join(p for p in parts if p) + "\n"
    text = page_text + "\n" + uses_table(names) + "\n"  # which the page has in its own words
    with open(f"{OUT}/results.md", "w") as f:
        f.write(text)
    with open(f"{OUT}/results.json", "w") as f:
        json.dump({"machine": here, "sets": {n: {
            "set": i, "curves": load(f"{OUT}/{n}/curves.json"),
            "builds": {e: build_facts(n, e) for e in ENGINES},
            "uses": load(f"{OUT}/{n}/uses.json"),
            "ckdtree": load(f"{OUT}/{n}/ckdtree.json")} for n, i in names}}, f, indent=1)
    if docs:
        page = f"{ROOT}/docs/performance.md"
        with open(page) as f:
            head, _, rest = f.read().partition("<!-- bench: made by bench/bench.py -->\n")
        tail = rest.partition("<!-- /bench -->\n")[2]
        with open(page, "w") as f:
            f.write(f"{head}<!-- bench: made by bench/bench.py -->\n{page_text}<!-- /bench -->\n{tail}")
    say(text)
    say(f"written: {OUT}/results.md, results.json and one plot a set")


PARTS = {"curves": measure_curves, "ckdtree": measure_ckdtree, "avx2": measure_avx2,
         "growth": measure_growth, "uses": measure_uses}


def prepare(what, rows):
    """Makes a set unless it is there; its name."""
    make_set(what)
    name = os.path.splitext(os.path.basename(what))[0]
    if not rows:
        return name
    make_set("first", name, str(rows))
    return f"{name}/first-{rows}"


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--work", default="A,B,Bp,C")
    args.add_argument("--hdf5")
    args.add_argument("--parts", default=",".join(PARTS))
    args.add_argument("--rows", type=int)
    args.add_argument("--seconds", type=float, default=2)
    args.add_argument("--passes", type=int, default=3)
    args.add_argument("--no-builds", action="store_true")
    args.add_argument("--docs", action="store_true")
    args.add_argument("--report", action="store_true")
    a = args.parse_args()
    if a.docs and a.rows:
        args.error("--docs is for whole sets")
    works = [prepare(what, a.rows) for what in ([a.hdf5] if a.hdf5 else a.work.split(","))]
    for name in [] if a.report else works:
        for part in a.parts.split(","):
            PARTS[part](name, load(f"{OUT}/{name}/set.json"), a)
    report(works, a.docs)


if __name__ == "__main__":
    main()
