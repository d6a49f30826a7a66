"""The calls that search, answered by brute force: what tests/e2e/rest_random.py compares with.

A collection here is arrays of numpy. A request is the JSON that points/query takes; `Brute.query`
interprets it from scratch, in doubles. Where two points are so near each other that single
precision may order them otherwise, and the answer depends on it, Ambiguous is raised."""

import math

import numpy as np

EARTH = 6371008.8


class Ambiguous(Exception):
    pass


class Field:
    """kind: dense, multi, sparse; metric: Cosine, Dot, Euclid, Manhattan. A vector may be None."""

    def __init__(self, kind, metric, vectors):
        self.kind, self.metric, self.vectors = kind, metric, vectors
        self.there = np.array([v is not None for v in vectors])
        if kind == "dense":
            dim = next(len(v) for v in vectors if v is not None)
            self.rows = np.array([self.unit(v) if v is not None else np.zeros(dim) for v in vectors])

    def unit(self, v):
        v = np.asarray(v, dtype=float)
        if self.metric != "Cosine":
            return v
        return v / np.linalg.norm(v, axis=-1, keepdims=True)

    def dense(self, v):
        v = self.unit(v)
        if self.metric == "Euclid":
            return -((self.rows - v) ** 2).sum(axis=1)
        if self.metric == "Manhattan":
            return -np.abs(self.rows - v).sum(axis=1)
        return self.rows @ v

    def multi(self, v):
        v = self.unit(np.atleast_2d(v))
        out = np.full(len(self.vectors), np.nan)
        for i, rows in enumerate(self.vectors):
            if rows is None:
                continue
            rows = self.unit(rows)
            if self.metric == "Euclid":
                s = -((v[:, None, :] - rows[None, :, :]) ** 2).sum(axis=2)
            elif self.metric == "Manhattan":
                s = -np.abs(v[:, None, :] - rows[None, :, :]).sum(axis=2)
            else:
                s = v @ rows.T
            out[i] = s.max(axis=1).sum()
        return out

    def sparse(self, v):
        weights = dict(zip(v["indices"], v["values"]))
        out = np.full(len(self.vectors), np.nan)
        for i, s in enumerate(self.vectors):
            if s is None:
                continue
            common = [w * weights[j] for j, w in zip(s["indices"], s["values"]) if j in weights]
            if common:  # a point that shares nothing with the query is no answer
                out[i] = sum(common)
        return out

    def similarity(self, v):
        """What the metric maximises, of every point to v; nan: does not compete."""
        out = np.array(getattr(self, self.kind)(v), dtype=float)
        out[~self.there] = np.nan
        return out

    def shown(self, s):
        """Similarities as scores are shown."""
        if self.kind == "sparse" or self.metric in ("Cosine", "Dot"):
            return s
        return np.sqrt(-s) if self.metric == "Euclid" else -s

    @property
    def lower_is_better(self):
        return self.kind != "sparse" and self.metric in ("Euclid", "Manhattan")


def sigmoid(x):
    return x / (1 + np.abs(x))


def close(a, b):
    return abs(a - b) <= 3e-5 * (1 + abs(a) + abs(b))


def cut(ranked, limit):
    """The first of a list; whether two could change places across the border matters."""
    if limit < len(ranked):
        a, b = ranked[limit - 1], ranked[limit]
        if a[1] != b[1] and close(a[1], b[1]):
            raise Ambiguous
    return ranked[:limit]


def check_ranks(ranked):
    for a, b in zip(ranked, ranked[1:]):
        if a[1] != b[1] and close(a[1], b[1]):
            raise Ambiguous


class Brute:
    def __init__(self, ids, payloads, fields):
        self.ids, self.payloads, self.fields = ids, payloads, fields
        self.row = {id_: i for i, id_ in enumerate(ids)}
        self.count = len(ids)

    # ---- Filters

    def values(self, i, key):
        at = [self.payloads[i]]
        for part in key.split("."):
            every = part.endswith("[]")
            name = part[:-2] if every else part
            at = [v[name] for v in at if isinstance(v, dict) and name in v]
            if every:
                at = [e for v in at if isinstance(v, list) for e in v]
        return [e for v in at for e in (v if isinstance(v, list) else [v])]

    def condition(self, i, c):
        if "has_id" in c:
            return self.ids[i] in c["has_id"]
        if "is_empty" in c:
            return all(v is None for v in self.values(i, c["is_empty"]["key"]))
        if "key" not in c:
            return self.matches(i, c)
        values = self.values(i, c["key"])
        if "range" in c:
            r = c["range"]
            return any(isinstance(v, (int, float)) and not isinstance(v, bool) and
                       v >= r.get("gte", -math.inf) and v <= r.get("lte", math.inf) and
                       v > r.get("gt", -math.inf) and v < r.get("lt", math.inf) for v in values)
        m = c["match"]
        if "value" in m:
            return any(type(v) is type(m["value"]) and v == m["value"] for v in values)
        if "any" in m:
            return any(v in m["any"] for v in values)
        return any(v is not None and v not in m["except"] for v in values)

    def matches(self, i, f):
        def conditions(name):
            found = f.get(name) or []
            return found if isinstance(found, list) else [found]
        return (all(self.condition(i, c) for c in conditions("must")) and
                (not conditions("should") or any(self.condition(i, c) for c in conditions("should"))) and
                not any(self.condition(i, c) for c in conditions("must_not")))

    def mask(self, f):
        return np.array([not f or self.matches(i, f) for i in range(self.count)])

    # ---- Queries

    def input(self, node, x):
        """A vector, or the stored one of an id."""
        if isinstance(x, (int, str)):
            return self.fields[node.get("using", "")].vectors[self.row[x]]
        return x

    def named_ids(self, node):
        found = []

        def walk(x):
            if isinstance(x, dict):
                for key in ("nearest", "target", "positive", "negative", "example"):
                    v = x.get(key)
                    for e in v if isinstance(v, list) else [v]:
                        if isinstance(e, (int, str)):
                            found.append(e)
                for v in x.values():
                    walk(v)
            elif isinstance(x, list):
                for e in x:
                    walk(e)
        q = node.get("query")
        if isinstance(q, (int, str)):
            found.append(q)
        elif isinstance(q, dict) and "formula" not in q:
            walk(q)
        for p in prefetches(node):
            found += self.named_ids(p)
        return found

    def average(self, field, positive, negative):
        if field.kind == "dense":
            p = np.mean([field.unit(v) if stored else np.asarray(v, float) for v, stored in positive], axis=0)
            if not negative:
                return p
            n = np.mean([field.unit(v) if stored else np.asarray(v, float) for v, stored in negative], axis=0)
            return 2 * p - n
        raise NotImplementedError

    def feedback(self, field, node, q):
        target = field.similarity(self.input(node, q["target"]))
        items = [(field.similarity(self.input(node, f["example"])), f["score"]) for f in q["feedback"]]
        c = q["strategy"]["naive"]
        score = c["a"] * target
        for a, x in items:
            for b, y in items:
                if x - y > 0:
                    score = score + (x - y) ** c["b"] * c["c"] * (a - b)
        return score

    def scores(self, node):
        """Score of every point by a query that compares vectors, and whether lower is better."""
        q = node["query"]
        field = self.fields[node.get("using", "")]
        if not isinstance(q, dict) or "indices" in q:
            q = {"nearest": q}
        if "nearest" in q:
            return field.shown(field.similarity(self.input(node, q["nearest"]))), field.lower_is_better
        if "relevance_feedback" in q:
            return self.feedback(field, node, q["relevance_feedback"]), False
        if "recommend" in q:
            r = q["recommend"]
            positive = [(self.input(node, x), isinstance(x, (int, str))) for x in r.get("positive") or []]
            negative = [(self.input(node, x), isinstance(x, (int, str))) for x in r.get("negative") or []]
            if r.get("strategy", "average_vector") == "average_vector":
                v = self.average(field, positive, negative)
                return field.shown(field.similarity(v)), field.lower_is_better
            p = [field.similarity(v) for v, _ in positive]
            n = [field.similarity(v) for v, _ in negative]
            if r["strategy"] == "sum_scores":
                return sum(p, np.zeros(self.count)) - sum(n, np.zeros(self.count)), False
            best_p = np.max(p, axis=0) if p else np.full(self.count, -np.inf)
            best_n = np.max(n, axis=0) if n else np.full(self.count, -np.inf)
            with np.errstate(invalid="ignore"):
                good, bad = 0.5 * (sigmoid(best_p) + 1), -0.5 * (sigmoid(best_n) + 1)
            return np.where(np.isnan(best_p + best_n) & ~np.isinf(best_p) & ~np.isinf(best_n), np.nan,
                            np.where(best_p > best_n, good, bad)), False
        pairs = q["discover"]["context"] if "discover" in q else q["context"]
        pairs = pairs if isinstance(pairs, list) else [pairs]
        sides = [(field.similarity(self.input(node, p["positive"])),
                  field.similarity(self.input(node, p["negative"]))) for p in pairs]
        if "discover" in q:
            target = field.similarity(self.input(node, q["discover"]["target"]))
            rank = sum((np.sign(p - n) for p, n in sides), np.zeros(self.count))
            return rank + 0.5 * (sigmoid(target) + 1), False
        loss = np.zeros(self.count)
        for p, n in sides:
            loss = loss + sigmoid(np.minimum(p - n - 1.1920929e-7, 0))
        return loss, False

    def rank(self, scores, lower, mask, threshold=None):
        found = [(i, float(scores[i])) for i in np.flatnonzero(mask & ~np.isnan(scores))]
        if threshold is not None:
            if any(close(s, threshold) for _, s in found):
                raise Ambiguous
            found = [f for f in found if (f[1] <= threshold if lower else f[1] >= threshold)]
        return sorted(found, key=lambda f: (f[1] if lower else -f[1], id_key(self.ids[f[0]])))

    def mmr(self, node, ranked, limit):
        q = node["query"]
        field = self.fields[node.get("using", "")]
        balance = 1 - q["mmr"].get("diversity", 0.5)
        relevance = field.similarity(self.input(node, q["nearest"]))
        left, picked = [f[0] for f in ranked], []
        near = {i: np.nan_to_num(field.similarity(field.vectors[i])) for i in left}
        while left and len(picked) < limit:
            score = [relevance[i] if not picked else
                     balance * relevance[i] - (1 - balance) * max(near[i][p] for p in picked) for i in left]
            order = sorted(range(len(left)), key=lambda k: -score[k])
            if len(order) > 1 and close(score[order[0]], score[order[1]]):
                raise Ambiguous
            picked.append(left.pop(order[0]))
        shown = dict(ranked)
        return [(i, shown[i]) for i in picked]

    def ordered(self, spec, mask):
        spec = {"key": spec} if isinstance(spec, str) else spec
        down = spec.get("direction", "asc") == "desc"
        start = spec.get("start_from")
        found = []
        for i in np.flatnonzero(mask):
            for v in self.values(i, spec["key"]):
                if not isinstance(v, (int, float)) or isinstance(v, bool):
                    continue
                if start is None or (v <= start if down else v >= start):
                    found.append((v, i))
        found.sort(key=lambda f: (f[0], id_key(self.ids[f[1]])), reverse=down)  # ties too
        return [(i, 1.0) for _, i in found]

    def formula(self, x, i, scores, defaults):
        def variable(name, fallback=None):
            if name.startswith("$score"):
                at = int(name[7:-1]) if "[" in name else 0
                if at < len(scores) and i in scores[at]:
                    return scores[at][i]
                return defaults.get(name, defaults.get("$score") if at == 0 else None) or 0.0
            values = self.values(i, name)
            return values[0] if values else defaults[name]
        go = lambda e: self.formula(e, i, scores, defaults)
        if isinstance(x, (int, float)):
            return float(x)
        if isinstance(x, str):
            return variable(x)
        op, arg = next(iter(x.items()))
        if op == "mult":
            return math.prod(go(e) for e in arg)
        if op == "sum":
            return sum(go(e) for e in arg)
        if op in ("neg", "abs", "sqrt", "exp", "ln", "log10"):
            f = {"neg": lambda v: -v, "abs": abs, "sqrt": math.sqrt, "exp": math.exp, "ln": math.log, "log10": math.log10}
            return f[op](go(arg))
        if op == "div":
            right = go(arg["right"])
            return arg["by_zero_default"] if right == 0 else go(arg["left"]) / right
        if op == "pow":
            return go(arg["base"]) ** go(arg["exponent"])
        if op.endswith("_decay"):
            off = abs(go(arg["x"]) - (go(arg["target"]) if "target" in arg else 0))
            scale, midpoint = arg.get("scale", 1), arg.get("midpoint", 0.5)
            if op == "lin_decay":
                return max(0, 1 - (1 - midpoint) / scale * off)
            power = off / scale if op == "exp_decay" else (off / scale) ** 2
            return midpoint ** power
        if op == "geo_distance":
            to = variable(arg["to"])
            a, b = math.radians(arg["origin"]["lat"]), math.radians(to["lat"])
            dlon = math.radians(to["lon"] - arg["origin"]["lon"])
            h = math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(dlon / 2) ** 2
            return 2 * EARTH * math.asin(math.sqrt(h))
        return 1.0 if self.condition(i, x) else 0.0

    def fuse(self, q, lists):
        total = {}
        if q.get("fusion") == "dbsf":
            for ranked in lists:
                s = [f[1] for f in ranked]
                if len(s) < 2 or np.std(s) < 1e-9:
                    scaled = [0.5] * len(s)
                else:
                    mean, deviation = np.mean(s), np.std(s, ddof=1)
                    scaled = [(v - mean + 3 * deviation) / (6 * deviation) for v in s]
                for (i, _), v in zip(ranked, scaled):
                    total[i] = total.get(i, 0) + v
        else:
            rrf = q.get("rrf", {})
            k, weights = rrf.get("k") or 2, rrf.get("weights") or [1] * len(lists)
            one = np.float32(1)  # ranks tie often, and sums of them as floats alone
            for ranked, w in zip(lists, weights):
                check_ranks(ranked)
                for at, (i, _) in enumerate(ranked):
                    score = one / (np.float32(at + 1) / np.float32(w) + np.float32(k) - one) if w > 0 else 0 * one
                    total[i] = total.get(i, 0 * one) + score
        return total

    def node(self, node, mask, wanted):
        """The ranked list of a step: (row, score), its first `wanted`."""
        mask = mask & self.mask(node.get("filter"))
        q = node.get("query")
        threshold = node.get("score_threshold")
        lists = []
        for p in prefetches(node):
            once, seen = [], set()
            for f in self.node(p, mask, p.get("limit", 10)):
                if f[0] not in seen:
                    once.append(f)
                    seen.add(f[0])
            lists.append(once)
        if lists:
            below = np.zeros(self.count, dtype=bool)
            for f in lists:
                below[[i for i, _ in f]] = True
            mask = below
        if q is None:
            rows = sorted(np.flatnonzero(mask), key=lambda i: id_key(self.ids[i]))
            return [(i, 1.0) for i in rows][:wanted]
        if isinstance(q, dict) and ("fusion" in q or "rrf" in q):
            scores = self.fuse(q, lists)
        elif isinstance(q, dict) and "formula" in q:
            found = [dict(f) for f in lists]
            scores = {i: float(np.float32(self.formula(q["formula"], i, found, q.get("defaults", {}))))
                      for i in np.flatnonzero(mask)}  # what ties as a float ties
        elif isinstance(q, dict) and "order_by" in q:
            return self.ordered(q["order_by"], mask)[:wanted]
        else:
            scores, lower = self.scores(node)
            mmr = isinstance(q, dict) and q.get("mmr") is not None
            if not mmr:
                return cut(self.rank(scores, lower, mask, threshold), wanted)
            ranked = cut(self.rank(scores, lower, mask, threshold), q["mmr"].get("candidates_limit") or wanted)
            return self.mmr(node, ranked, wanted)
        all_scores = np.full(self.count, np.nan)
        for i, s in scores.items():
            all_scores[i] = float(s)
        return cut(self.rank(all_scores, False, mask, threshold), wanted)

    def everything(self, request):
        """The whole ranking of a root that is no list by itself, without limit: what groups need."""
        mask = np.ones(self.count, dtype=bool)
        for id_ in self.named_ids(request):
            mask[self.row[id_]] = False
        return self.node(request, mask, self.count)

    def query(self, request):
        """The ranking as far as the request sees it, with what its offset leaves out."""
        mask = np.ones(self.count, dtype=bool)
        for id_ in self.named_ids(request):
            mask[self.row[id_]] = False
        return self.node(request, mask, request.get("limit", 10) + request.get("offset", 0))

    def groups(self, request):
        """[(value, [(row, score), ..])], exact."""
        found = {}
        for i, s in self.everything({k: v for k, v in request.items() if k != "limit"}):
            for v in dict.fromkeys(self.values(i, request["group_by"])):
                found.setdefault(v, []).append((i, s))
        size = request.get("group_size", 3)
        return [(v, f[:size]) for v, f in found.items()][:request.get("limit", 10)]


def id_key(id_):
    return (0, id_, "") if isinstance(id_, int) else (1, 0, id_)


def prefetches(node):
    p = node.get("prefetch") or []
    return p if isinstance(p, list) else [p]
