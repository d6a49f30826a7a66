#!/usr/bin/env python3
"""Everything gets new vectors, of another length and another metric, while searches go on.

Two ways. A second vector field beside the old one: filled batch by batch, then the searches name it, then the old one is
dropped. Or a second collection: filled, then an alias moves to it in one step. A thread searches from the first line to
the last, as customers would, and counts what was not answered."""
import random
import threading
import time

from _scenario import Server, hits, say

COUNT = 3000
BATCH = 500
rng = random.Random(5)
topics = [[rng.uniform(-1, 1) for _ in range(8)] for _ in range(12)]
texts = [(i % 12, [x + rng.uniform(-0.3, 0.3) for x in topics[i % 12]]) for i in range(COUNT)]


def old_model(i):
    return [round(x, 3) for x in texts[i][1][:4]]


def new_model(i):
    x = texts[i][1]
    return [round(v, 3) for v in x + [x[0] * x[1], x[2] * x[3]]]


def same_topic(points, i):
    return f"{sum(p['payload']['topic'] == texts[i][0] for p in points)} of {len(points)} are of the same topic"


class Customers(threading.Thread):
    """Searches until told to stop, in the way that is the right one at the time."""

    def __init__(self, server):
        super().__init__()
        self.server, self.stop, self.answered, self.failed = server, threading.Event(), 0, 0
        self.search = "/collections/articles/points/query", {"query": old_model(17), "using": "v1", "limit": 10}

    def run(self):
        while not self.stop.is_set():
            status, answer = self.server.request("POST", *self.search)
            good = status == 200 and len(answer["result"]["points"]) == 10
            self.answered, self.failed = self.answered + good, self.failed + (not good)


def upsert(server, collection, vector):
    for at in range(0, COUNT, BATCH):
        points = [{"id": i, "vector": {vector: old_model(i) if vector == "v1" else new_model(i)}, "payload": {"topic": texts[i][0]}}
                  for i in range(at, at + BATCH)]
        assert server.request("PUT", f"/collections/{collection}/points?wait=true", {"points": points})[0] == 200


with Server("news.hw") as server:
    say("What there is: 3,000 articles with vectors of the old model, searched all the time")
    server.ask("PUT", "/collections/articles", {"vectors": {"v1": {"size": 4, "distance": "Cosine"}}})
    upsert(server, "articles", "v1")
    customers = Customers(server)
    customers.start()
    found = server.ask("POST", "/collections/articles/points/query", {"query": 17, "using": "v1", "limit": 10, "with_payload": True})
    print(" ", same_topic(found["points"], 17))

    say("First way: a second field for the new model, of another length and metric, filled batch by batch")
    server.ask("PUT", "/collections/articles/vectors/v2", {"dense": {"size": 10, "distance": "Euclid"}})
    for at in range(0, COUNT, BATCH):
        points = [{"id": i, "vector": {"v2": new_model(i)}} for i in range(at, at + BATCH)]
        server.ask("PUT", "/collections/articles/points/vectors?wait=true", {"points": points}, shown=f"(articles {at} to {at + BATCH - 1})")
        if at == 2 * BATCH:
            done = server.ask("POST", "/collections/articles/points/count", {"filter": {"must": {"has_vector": "v2"}}})
            print(f"  half way: {done['count']} have a v2; what is missing is found with must_not has_vector, should this be cut short")

    say("Switch: the customers' searches name the new field; it can be compared with the old one first")
    found = server.ask("POST", "/collections/articles/points/query", {"query": 17, "using": "v2", "limit": 10, "with_payload": True})
    print(" ", same_topic(found["points"], 17))
    customers.search = "/collections/articles/points/query", {"query": new_model(17), "using": "v2", "limit": 10}

    say("The old field goes; its name is free at once")
    time.sleep(0.2)  # searches under way when they were switched
    server.ask("DELETE", "/collections/articles/vectors/v1")
    server.ask("POST", "/collections/articles/points/query", {"query": 17, "using": "v1"})

    say("Second way: a new collection beside the old one, and an alias that moves. Searches use the alias from the beginning")
    server.ask("POST", "/collections/aliases", {"actions": [{"create_alias": {"alias_name": "current", "collection_name": "articles"}}]})
    customers.search = "/collections/current/points/query", {"query": 17, "using": "v2", "limit": 10}
    server.ask("PUT", "/collections/articles_2", {"vectors": {"v2": {"size": 10, "distance": "Manhattan"}}})
    upsert(server, "articles_2", "v2")
    print("  3,000 articles are brought in, while `current` is still the old collection")

    say("One request moves the alias: a search sees the old collection or the new one, never none")
    server.ask("POST", "/collections/aliases", {"actions": [
        {"delete_alias": {"alias_name": "current"}}, {"create_alias": {"alias_name": "current", "collection_name": "articles_2"}}]})
    found = server.ask("POST", "/collections/current/points/query", {"query": 17, "using": "v2", "limit": 3, "with_payload": True})
    hits(found["points"], "topic")
    while customers.answered < 100:
        time.sleep(0.01)
    customers.stop.set()
    customers.join()
    server.ask("DELETE", "/collections/articles")
    left = server.ask("GET", "/collections")
    print(" ", [c["name"] for c in left["collections"]])

    say("And the customers?")
    print("  searches answered: more than a hundred")
    print(f"  searches without ten hits: {customers.failed}")
