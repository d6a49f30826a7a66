#!/usr/bin/env python3
"""Many customers (tenants) in one server: most share a collection and are told apart by a payload field; a big one has a
collection of its own, and a token that opens nothing else."""
import base64
import hashlib
import hmac
import json
import random
import time

from _scenario import Server, hits, say

KEY = "the-operators-key-of-this-example"
TENANTS = {"acme": 900, "bolt": 600, "corax": 40, "dido": 5}
QUERY = [0.5, -0.2, 0.1, 0.4, -0.3, 0.2, 0.1, -0.1]


def token(**claims):
    """A JWT, signed with the server's key, as the program that hands out rights makes it."""
    part = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    text = part(b'{"alg": "HS256", "typ": "JWT"}') + "." + part(json.dumps(claims).encode())
    return text + "." + part(hmac.new(KEY.encode(), text.encode(), hashlib.sha256).digest())


def of(tenant):
    return {"must": [{"key": "tenant", "match": {"value": tenant}}]}


rng = random.Random(3)
notes, number = [], 0
for tenant, count in TENANTS.items():
    for _ in range(count):
        notes.append({"id": number, "vector": [round(rng.uniform(-1, 1), 3) for _ in range(8)],
                      "payload": {"tenant": tenant, "author": rng.choice(["ann", "ben", "cleo"])}})
        number += 1

with Server("office.hw", service__api_key=KEY, service__jwt_rbac="true") as server:
    say("One collection for all tenants, with an index on the field that tells them apart")
    server.ask("PUT", "/collections/notes", {"vectors": {"size": 8, "distance": "Cosine"}}, KEY)
    server.ask("PUT", "/collections/notes/index?wait=true", {"field_name": "tenant", "field_schema": {"type": "keyword", "is_tenant": True}}, KEY)
    server.ask("PUT", "/collections/notes/points?wait=true", {"points": notes}, KEY, shown="(1,545 notes)")
    counts = server.ask("POST", "/collections/notes/facet", {"key": "tenant", "limit": 10}, KEY)
    print("  " + ", ".join(f"{h['value']} {h['count']}" for h in counts["hits"]))

    say("Each search carries its tenant's filter: ten hits also for the smallest, as far as it has ten")
    for tenant in TENANTS:
        found = server.request("POST", "/collections/notes/points/query", {
            "query": QUERY, "filter": of(tenant), "limit": 10, "with_payload": True}, KEY)[1]["result"]["points"]
        strangers = sum(p["payload"]["tenant"] != tenant for p in found)
        print(f"  {tenant}: {len(found)} hits, of other tenants {strangers}")

    say("What these searches looked at: the tenant's points, not all")
    for tenant in ("dido", "corax", "bolt"):
        explain = server.request("POST", "/collections/notes/points/query", {
            "query": QUERY, "filter": of(tenant), "limit": 3, "explain": True}, KEY)[1]["result"]["explain"]
        print(f"  {tenant}: plan {explain['plan']}, vectors compared {explain['funnel']['exact']} of {explain['points']}")

    say("The operator's view: the best two of each tenant, in one request")
    found = server.ask("POST", "/collections/notes/points/query/groups", {
        "query": QUERY, "group_by": "tenant", "group_size": 2, "limit": 4, "with_payload": True}, KEY)
    for group in found["groups"]:
        print(f"  {group['id']}: " + ", ".join(f"{p['id']} ({p['score']:.3f})" for p in group["hits"]))

    say("Acme grows: it gets a collection of its own, and its notes move there")
    server.ask("PUT", "/collections/acme", {"vectors": {"size": 8, "distance": "Cosine"}}, KEY)
    server.ask("PUT", "/collections/acme/points?wait=true", {"points": notes[:900]}, KEY, shown="(900 notes)")
    server.ask("POST", "/collections/notes/points/delete?wait=true", {"filter": of("acme")}, KEY)
    for name in ("acme", "notes"):
        print(" ", server.ask("POST", f"/collections/{name}/points/count", {}, KEY))

    say("Rights: a token for acme's front end may read its collection, one for its editors may write points")
    reader = token(subject="acme-web", access=[{"collection": "acme", "access": "r"}])
    editor = token(subject="acme-editor", access=[{"collection": "acme", "access": "prw"}])
    one = {"query": QUERY, "limit": 1}
    hits(server.ask("POST", "/collections/acme/points/query", one, reader, "reader")["points"])
    server.ask("POST", "/collections/notes/points/query", one, reader, "reader")
    server.ask("POST", "/collections/acme/points/delete", {"points": [0]}, reader, "reader")
    print(" ", server.ask("POST", "/collections/acme/points/delete?wait=true", {"points": [0]}, editor, "editor")["status"])
    server.ask("DELETE", "/collections/acme", None, editor, "editor")
    print("  editor sees", [c["name"] for c in server.ask("GET", "/collections", None, editor, "editor")["collections"]])

    say("A token that ran out, one that was changed, none at all")
    server.ask("GET", "/collections/acme", None, token(access="r", exp=int(time.time()) - 3600), "yesterday's")
    server.ask("GET", "/collections/acme", None, reader[:-4] + "AAAA", "forged")
    server.ask("GET", "/collections/acme", None, None, "nobody")

    say("A token that counts only while a point says so: deleting the point takes the right away at once")
    server.ask("PUT", "/collections/users", {"vectors": {}}, KEY)
    server.ask("PUT", "/collections/users/points?wait=true", {"points": [{"id": 1, "vector": {}, "payload": {"name": "ann"}}]}, KEY)
    ann = token(access="r", value_exists={"collection": "users", "matches": [{"key": "name", "value": "ann"}]})
    print("  ann:", server.ask("POST", "/collections/acme/points/count", {}, ann, "ann"))
    server.ask("POST", "/collections/users/points/delete?wait=true", {"points": [1]}, KEY)
    server.ask("POST", "/collections/acme/points/count", {}, ann, "ann")
