"""Validates answers against Qdrant's published OpenAPI document, which HASHWOOD_QDRANT_OPENAPI names.

Without the variable, or without jsonschema, nothing is validated and `why_not` says so."""

import json
import os
import re

import _packages

why_not = None
_paths = []
_schemas = {}
_validators = {}


def _load():
    global why_not
    path = os.environ.get("HASHWOOD_QDRANT_OPENAPI")
    if not path or not os.path.exists(path):
        why_not = "HASHWOOD_QDRANT_OPENAPI names no file"
        return
    if not _packages.python("jsonschema==4.23.0", needed=False):
        why_not = "jsonschema cannot be installed"
        return
    with open(path) as f:
        document = json.load(f)
    for pattern, methods in document["paths"].items():
        regex = re.compile("^" + re.sub(r"\{[^}]*\}", "[^/]+", pattern) + "$")
        # A literal part weighs more than {a parameter}, as in routing.
        weight = pattern.count("{")
        _paths.append((weight, regex, methods))
    _paths.sort(key=lambda p: p[0])
    _schemas.update({k: _convert(v) for k, v in document["components"]["schemas"].items()})


def _convert(schema):
    """OpenAPI 3.0 says `nullable` where JSON Schema has a type null."""
    if isinstance(schema, list):
        return [_convert(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    out = {k: _convert(v) for k, v in schema.items() if k not in ("nullable", "example", "format")}
    if "$ref" in out:
        out["$ref"] = "#/components/schemas/" + out["$ref"].rsplit("/", 1)[1]
    if schema.get("nullable") is not True:
        return out
    rest = {k: v for k, v in out.items() if k not in ("description", "default")}
    return {"anyOf": [rest, {"type": "null"}]} if rest else {"type": "null"}


def _validator(methods, method, status):
    import jsonschema
    operation = methods.get(method.lower())
    if operation is None:
        return None
    responses = operation["responses"]
    found = responses.get(str(status)) or (responses.get("4XX") if 400 <= status < 500 else None)
    if found is None:
        found = responses.get("default")
    content = (found or {}).get("content", {}).get("application/json")
    if content is None:
        return None
    schema = dict(_convert(content["schema"]), components={"schemas": _schemas})
    return jsonschema.Draft7Validator(schema)


def validate(method, path, status, answer):
    """None, or what is wrong with the answer. Paths that the document lacks are not looked at."""
    if why_not or not _paths:
        return None
    path = re.sub("//+", "/", path.split("?")[0]).rstrip("/") or "/"
    for _, regex, methods in _paths:
        if not regex.match(path) or method.lower() not in methods:
            continue
        key = (id(methods), method, status)
        if key not in _validators:
            _validators[key] = _validator(methods, method, status)
        v = _validators[key]
        error = v and next(iter(sorted(v.iter_errors(answer), key=str)), None)
        if error is not None:
            where = "/".join(map(str, error.absolute_path))
            deepest = min(error.context or [error], key=lambda e: -len(e.absolute_path))
            return (f"{method} {path} {status}: at {where}: {error.message[:300]} "
                    f"({deepest.message[:200]})")
        return None
    return None


_load()
