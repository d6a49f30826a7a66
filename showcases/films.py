#!/usr/bin/env python3
"""films: because you liked this film.

Question  Which films will this person like, and which go with this one, when all that is known is who rated what?
Data      MovieLens: 100,004 ratings of 9,066 films by 671 users, from the Debian package r-cran-dslabs.
Steps     Ratings become vectors of films and users (tools/ratings.py), kept under two names: `taste`, compared by dot
          product (what a person will like), and `kind`, compared by cosine (what goes with a film). Then neighbours,
          liked and disliked films, a user's own list, filters by year and genre.
Measured  The last fifth of each user's ratings is held out, and ten films are asked of the database: recall@10 and
          NDCG@10 beside the most popular films, for users known and for strangers of whom a few liked films are known.
"""
import collections
import csv
import json
import math
import os
import shutil
import subprocess

from _show import Show, equals, main, np

TOP = 10
LIKED, DISLIKED = 4, 2
EXAMPLES_MAX = 500  # of either kind in a query
CONFIG = {"vectors": {"taste": {"dim": 64, "metric": "dot"}, "kind": {"dim": 64, "metric": "cosine"}},
          "payload_indexes": {"title": "keyword", "genres": "keyword", "year": "integer", "ratings": "integer"}}
TO_CSV = ('library(dslabs); names(movielens) <- c("item", "title", "year", "genres", "user", "rating", "time"); '
          'write.csv(movielens, "{}", row.names = FALSE)')
PAYLOAD = ["--payload", "title,year:int,genres:list", "--fields", "taste,kind"]
COLOURS = {"Animation": "#4e79a7", "Sci-Fi": "#e08214", "Crime": "#59a14f", "other": "#8c959f"}  # of the map; the first that fits


def shorter(title):
    """Star Wars: Episode IV - A New Hope (a.k.a. Star Wars) -> Star Wars: Episode IV; Matrix, The -> The Matrix."""
    title = title.split(" (")[0].split(" - ")[0]
    for article in (", The", ", A", ", An"):
        if title.endswith(article):
            title = article[2:] + " " + title[:-len(article)]
    return title


def label(title, titles):
    """A title short enough for a map: of a series the part, else what stands before the colon."""
    title = title.removeprefix("The ")
    series, _, part = title.partition(": ")
    if len(title) <= 24 or not part:
        return title
    return part.removeprefix("The ") if sum(series + ": " in t for t in titles) > 1 else series


def listed(points):
    return [(shorter(p["payload"]["title"]), str(p["payload"].get("year", "")), "|".join(p["payload"]["genres"])) for p in points]


class Films:
    def __init__(self):
        self.show = Show("films", "because you liked this film")
        self.ratings = self.show.file("ratings.csv")

    # ---- data ----

    def fetch(self):
        show = self.show
        show.step("Read the ratings out of the R package")
        probe = ["Rscript", "-e", "quit(status = !requireNamespace('dslabs', quietly = TRUE))"]
        if not shutil.which("Rscript") or subprocess.run(probe, capture_output=True).returncode:
            show.missing("the ratings are missing; install the Debian packages r-base-core and r-cran-dslabs")
        show.run(["Rscript", "-e", TO_CSV.format(self.ratings)])
        with open(self.ratings, newline="", encoding="utf-8") as f:
            self.rows = list(csv.DictReader(f))
        self.title = {int(r["item"]): shorter(r["title"]) for r in self.rows}
        show.figure("ratings", len(self.rows), "ratings")
        show.figure("films", len(self.title), "films")
        show.figure("users", len({r["user"] for r in self.rows}), "users")

    def fill(self, name, *options, users=None, ratings=None):
        """Ratings to vectors to a collection."""
        show, items = self.show, self.show.file(name + ".jsonl")
        words = ["tools/ratings.py", ratings or self.ratings, "--items", items, *PAYLOAD, *options]
        show.python(*words, *(["--users", show.file(users + ".jsonl")] if users else []))
        show.hashwood("create", show.db, name, "--config", json.dumps(CONFIG))
        show.hashwood("import", show.db, name, items, "--quiet")
        if users:
            show.hashwood("import", show.db, users, show.file(users + ".jsonl"), "--create", "--metric", "dot", "--quiet")

    # ---- measuring ----

    def split(self):
        """What each user rated before, in order of time, and what of the held-out fifth was liked."""
        held, self.before, self.wanted = set(), collections.defaultdict(list), collections.defaultdict(set)
        with open(self.show.file("held-out.csv"), newline="", encoding="utf-8") as f:
            for r in csv.DictReader(f):
                held.add((r["user"], r["item"]))
                if float(r["rating"]) >= LIKED:
                    self.wanted[r["user"]].add(int(r["item"]))
        for r in sorted(self.rows, key=lambda r: float(r["time"])):
            if (r["user"], r["item"]) not in held:
                self.before[r["user"]].append((int(r["item"]), float(r["rating"])))

    def measure(self, collection, users, query):
        """recall@10 and NDCG@10 of what the database answers; query(user) is the body, and what was rated is filtered."""
        bodies = []
        for user in users:
            seen = [item for item, _ in self.before[user]]
            bodies.append(dict(query(user), limit=TOP, filter={"must_not": {"has_id": seen}}, with_payload=False))
        recalls, gains = [], []
        for at in range(0, len(bodies), 50):
            found = self.show.http("POST", f"/collections/{collection}/points/query/batch", {"searches": bodies[at:at + 50]}, tell=False)
            for user, answer in zip(users[at:at + 50], found):
                wanted = self.wanted[user]
                best = min(TOP, len(wanted))
                hits = [n for n, p in enumerate(answer["points"]) if p["id"] in wanted]
                recalls.append(len(hits) / best)
                gains.append(sum(1 / math.log2(n + 2) for n in hits) / sum(1 / math.log2(n + 2) for n in range(best)))
        return sum(recalls) / len(recalls), sum(gains) / len(gains)

    @staticmethod
    def popular(_):
        return {"query": {"order_by": {"key": "ratings", "direction": "desc"}}}

    def liked(self, user, count=None):
        found = [item for item, rating in self.before[user] if rating >= LIKED]
        return (found or [item for item, _ in self.before[user]])[:count]

    def because(self, using, with_disliked=False, count=None):
        def query(user):
            examples = {"positive": self.liked(user, count)}
            if with_disliked:
                examples["negative"] = [item for item, rating in self.before[user] if rating <= DISLIKED]
            examples = {k: v[-EXAMPLES_MAX:] for k, v in examples.items()}  # the latest
            return {"query": {"recommend": {k: v for k, v in examples.items() if v}}, "using": using}
        return query

    def evaluate(self):
        show = self.show
        show.step("Hold out the last fifth of each user's ratings, and learn from the rest")
        self.fill("films_before", "--hold-out", show.file("held-out.csv"), users="users_before")
        self.split()
        with open(show.file("users_before.jsonl"), encoding="utf-8") as f:
            vectors = {str(p["id"]): p["vector"] for p in map(json.loads, f)}
        users = sorted((u for u in self.wanted if u in vectors), key=int)[::4 if show.small else 1]
        show.step("Ask the database for ten films for each user, and compare with what was liked later")
        ways = [("popularity", "the most popular films", self.popular),
                ("kind", "recommend by liked films, by kind (cosine)", self.because("kind")),
                ("liked", "recommend by liked films, by taste", self.because("taste")),
                ("disliked", "recommend by liked and disliked films", self.because("taste", with_disliked=True)),
                ("user", "the user's vector", lambda u: {"query": vectors[u], "using": "taste"})]
        chart = []
        with show.serving():
            show.say("   such as")
            example = min(users, key=lambda u: (abs(len(self.liked(u)) - 6), len(self.before[u])))
            show.http("POST", "/collections/films_before/points/query", {
                "query": {"recommend": {"positive": self.liked(example)}}, "using": "taste", "limit": TOP,
                "filter": {"must_not": {"has_id": [item for item, _ in self.before[example]]}}})
            for key, text, query in ways:
                recall, ndcg = self.measure("films_before", users, query)
                show.figure(key + "_recall", recall, f"recall@10, {text}")
                show.figure(key + "_ndcg", ndcg, f"NDCG@10, {text}")
                chart.append((text, {"recall@10": recall, "NDCG@10": ndcg}))
        show.figure("measured_users", len(users), "users measured: those who liked something of what was held out")
        show.bars("recall.svg", chart, title="Ten films for each user, against what was liked later", form="{:.3f}", label_width=330,
                  note=f"{len(users)} users; the last fifth of each user's ratings was held out")

    def strangers(self):
        show = self.show
        show.step("Strangers: learn from four fifths of the users, recommend to the others by the first films they liked")
        others = self.show.file("others.csv")
        with open(show.file("held-out.csv"), newline="", encoding="utf-8") as f:
            held = {(r["user"], r["item"]) for r in csv.DictReader(f)}
        with open(others, "w", newline="", encoding="utf-8") as f:
            out = csv.DictWriter(f, self.rows[0])
            out.writeheader()
            out.writerows(r for r in self.rows if int(r["user"]) % 5 and (r["user"], r["item"]) not in held)
        self.fill("films_others", ratings=others)
        known = {int(r["item"]) for r in self.rows if int(r["user"]) % 5 and (r["user"], r["item"]) not in held}
        self.before = {u: [(i, v) for i, v in rated if i in known] for u, rated in self.before.items()}
        users = sorted((u for u in self.wanted if int(u) % 5 == 0 and self.before.get(u)), key=int)
        chart = []
        with show.serving():
            for count in (0, 1, 2, 3, 5, 10, None):
                query = self.because("taste", count=count) if count != 0 else self.popular
                recall, _ = self.measure("films_others", users, query)
                words = {0: "nothing (most popular)", 1: "1 liked film", None: "all liked films"}.get(count, f"{count} liked films")
                show.figure(f"stranger_{'all' if count is None else count}", recall, f"recall@10 for strangers, known: {words}")
                chart.append((words, recall))
        show.figure("strangers", len(users), "strangers measured")
        show.bars("strangers.svg", chart, title="Recommending to strangers: recall@10 by what is known", form="{:.3f}", label_width=190,
                  note=f"{len(users)} users from whom nothing was learnt")

    # ---- showing ----

    def ask(self, text, body, collection="films", count=6):
        self.show.say("\n   " + text)
        found = self.show.http("POST", f"/collections/{collection}/points/query", dict(body, limit=count, with_payload=True))["points"]
        self.show.table(["film", "year", "genres"], listed(found))
        return found

    def number(self, title):
        """The id of a film, found by its title."""
        found = self.show.http("POST", "/collections/films/points/scroll", {"filter": {"must": [equals("title", title)]}, "limit": 1})
        return found["points"][0]["id"]

    def tell(self):
        show = self.show
        show.step("Now learn from everything")
        self.fill("films", users="users")
        show.step("What goes with a film")
        enough = json.dumps({"must": [{"key": "ratings", "range": {"gte": 20}}]})
        for item in (260, 858, 1, 1721):
            hits = show.hashwood("search", show.db, "films", "--id", item, "--using", "kind", "-k", 5, "--filter", enough, json=True)["hits"]
            show.say(f"   {self.title[item]}: " + "; ".join(shorter(h["payload"]["title"]) for h in hits))
        with show.serving():
            show.step("Because you liked ...")
            matrix, fargo, titanic = self.number("Matrix, The"), self.number("Fargo"), self.number("Titanic")
            liked = {"query": {"recommend": {"positive": [matrix, fargo]}}, "using": "taste"}
            self.ask("because you liked The Matrix and Fargo", liked)
            self.ask("... but not Titanic", {"query": {"recommend": {"positive": [matrix, fargo], "negative": [titanic]}}, "using": "taste"})
            self.ask("... a comedy since 2000", dict(liked, filter={"must": [
                equals("genres", "Comedy"), {"key": "year", "range": {"gte": 2000}}]}))
            self.ask("... no thriller, and from before 1970", dict(liked, filter={
                "must": [{"key": "year", "range": {"lt": 1970}}], "must_not": [equals("genres", "Thriller")]}))
            show.step("For one user: the user's vector against films that were not rated yet")
            user = show.http("POST", "/collections/users/points", {"ids": [17], "with_vector": True, "with_payload": True})[0]
            best = sorted((r for r in self.rows if r["user"] == "17"), key=lambda r: (-float(r["rating"]), float(r["time"])))[:6]
            show.say("   user 17 rated best: " + "; ".join(shorter(r["title"]) for r in best))
            self.ask("and would like", {"query": user["vector"], "using": "taste", "filter": {"must_not": {"has_id": user["payload"]["rated"]}}})
            self.map()

    def map(self):
        """The best known films on a plane: the two directions in which their vectors of one length differ most."""
        show = self.show
        show.step("A map of the films that were rated most")
        points = show.http("POST", "/collections/films/points/query", {
            "query": {"order_by": {"key": "ratings", "direction": "desc"}}, "limit": 44, "with_payload": True, "with_vector": ["kind"]})["points"]
        v = np.array([p["vector"]["kind"] for p in points])
        v /= np.linalg.norm(v, axis=1, keepdims=True)
        v -= v.mean(0)
        _, _, axes = np.linalg.svd(v, full_matrices=False)
        axes = axes[:2] * np.sign(axes[:2, [0]])
        colour = lambda p: next((g for g in COLOURS if g in p["payload"]["genres"]), "other")
        places = v @ axes.T
        places = np.argsort(np.argsort(places, axis=0), axis=0).astype(float)  # by rank: no film hides another
        titles = [shorter(p["payload"]["title"]) for p in points]
        dots = sorted(((x, y, label(title, titles), colour(p)) for (x, y), title, p in zip(places, titles, points)),
                      key=lambda d: list(COLOURS).index(d[3]))
        show.scatter("map.svg", dots, title="Films that please the same people lie together", width=1000, height=640,
                     hues=[h for g, h in COLOURS.items() if any(d[3] == g for d in dots)],
                     note="The 44 most rated films on the two main axes of their vectors, by rank. "
                          "Blue: animation, orange: science fiction, green: crime.")


def films():
    job = Films()
    job.fetch()
    job.evaluate()
    job.strangers()
    job.tell()
    job.show.finish("films", more=[f"{job.show.command} search {job.show.db} films --id 260 --using kind -k 5"])


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    main(films)
