#!/usr/bin/env python3
"""Answers locket from a JSON file: `db/password` is `{"db": {"password": "…"}}`.

A sample of a helper; put the look-up of your own in the place of `find`. Standard output belongs to the protocol, so
that everything else is written to standard error.
"""

import json
import sys
from pathlib import Path


def find(secrets, locator):
    """The answer for one locator, without the numbers that say which one it is."""
    value = secrets
    for part in locator.split("/"):
        if not isinstance(value, dict) or part not in value:
            return {"error": "not-found", "message": f"there is no {part!r} on the way of {locator!r}"}
        value = value[part]
    if not isinstance(value, str):
        return {"error": "invalid", "message": f"{locator!r} is no text"}
    return {"value": value}


def answers(request, file):
    """Each answer to a request."""
    number = request["id"]
    if request["protocol"] != 1:
        yield {"id": number, "error": "invalid", "message": "this helper speaks protocol 1"}
        return
    try:
        secrets = json.loads(file.read_text(encoding="utf-8"))
    except PermissionError:
        yield {"id": number, "error": "denied", "message": f"{file} may not be read"}
        return
    except (OSError, ValueError) as error:
        # Without an item this is the answer to all of them.
        yield {"id": number, "error": "unavailable", "message": f"{file} cannot be used: {type(error).__name__}"}
        return
    for item in request["get"]:
        yield {"id": number, "item": item["item"], **find(secrets, item["locator"])}


def main():
    file = Path(__file__).parent / sys.argv[1]
    # One line is one request. The end of the input is the end of the helper.
    for line in sys.stdin:
        for answer in answers(json.loads(line), file):
            print(json.dumps(answer), flush=True)


main()
