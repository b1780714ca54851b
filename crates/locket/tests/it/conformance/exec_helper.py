"""Answers locket from the server of the conformance suite, whose faults it puts into the protocol's words."""

import http.client
import json
import os
import sys

MOST = 16 << 20


class Refused(Exception):
    """One error for all items."""

    def __init__(self, error, **more):
        super().__init__(error)
        self.answer = {"error": error, **more}


class Server:
    """The server and the token that it gave."""

    def __init__(self):
        self.token = None

    def items(self, names):
        """What the server knows of these names, with one login if the token is not good any more."""
        fresh = self.token is None
        if fresh:
            self.log_in()
        try:
            return self.read(names)
        except Refused as refused:
            if fresh or refused.answer["error"] != "auth":
                raise
        self.log_in()
        return self.read(names)

    def log_in(self):
        self.token = None
        with open(os.environ["KEY_FILE"], "rb") as file:
            answer = post("/login", file.read(), None)
        if not isinstance(answer, dict) or not isinstance(answer.get("token"), str):
            raise Refused("unavailable", message="the login is no login")
        self.token = answer["token"]

    def read(self, names):
        answer = post("/batch", json.dumps(sorted(names)).encode(), self.token)
        if not isinstance(answer, dict) or not isinstance(answer.get("items"), dict):
            raise Refused("unavailable", message="the answer has another shape")
        return answer["items"]


def post(path, body, token):
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(os.environ["AUTHORITY"])
    try:
        connection.request("POST", path, body, {"authorization": f"Bearer {token}"} if token else {})
        response = connection.getresponse()
        read = response.read(MOST + 1)
    except (OSError, http.client.HTTPException) as error:
        raise Refused("unavailable", message=type(error).__name__) from None
    finally:
        connection.close()
    if response.status == 429:
        wish = response.getheader("retry-after")
        raise Refused("rate-limited", **({"retry-after": wish} if wish else {}))
    if response.status in (401, 403):
        raise Refused("auth", message="the server wants another credential")
    if response.status != 200:
        raise Refused("unavailable", message=f"the server answers with {response.status}")
    if len(read) > MOST:
        raise Refused("unavailable", message="the answer is too large")
    try:
        return json.loads(read)
    except ValueError:
        raise Refused("unavailable", message="the answer is no JSON") from None


def find(items, name, field):
    fields = items.get(name, "other shape")
    if fields == "denied":
        return {"error": "denied"}
    if fields is None:
        return {"error": "not-found", "message": f"there is no {name}"}
    if not isinstance(fields, dict) or not isinstance(fields.get(field, ""), str):
        return {"error": "unavailable", "message": "the answer has another shape"}
    if field not in fields:
        return {"error": "not-found", "message": f"{name} has no {field}"}
    return {"base64": fields[field]}


def main():
    server = Server()
    for line in sys.stdin:
        request = json.loads(line)
        asked = [(item["item"], *item["locator"].split("/")) for item in request["get"]]
        try:
            items = server.items({name for _, name, _ in asked})
            answers = [{"item": item, **find(items, name, field)} for item, name, field in asked]
        except Refused as refused:
            answers = [refused.answer]
        # In the other order, since none is promised.
        for answer in reversed(answers):
            print(json.dumps({"id": request["id"], **answer}), flush=True)


main()
