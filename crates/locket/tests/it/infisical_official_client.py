"""Reads an Infisical with its vendor's own client and prints what it got as JSON.

Run by `infisical_official_client.rs`. The address is the first argument, the way to log in the second; the credentials
are in the environment. The project is `p1`, its environment `prod`.
"""

import json
import os
import sys

from infisical_sdk import InfisicalSDKClient


def secret(secret):
    return {
        "key": secret.secretKey,
        "value": secret.secretValue,
        "version": secret.version,
        "type": secret.type,
        "hidden": secret.secretValueHidden,
        "path": secret.secretPath,
    }


def imported(secret):
    """The client leaves imported secrets as they came."""
    return {
        "key": secret["secretKey"],
        "value": secret["secretValue"],
        "version": secret["version"],
        "type": secret["type"],
        "hidden": secret["secretValueHidden"],
        "path": secret["secretPath"],
    }


def attempt(action):
    try:
        return {"ok": action()}
    except Exception as error:  # what the client raises is what the test wants to see
        return {"refused": type(error).__name__, "message": str(error)}


def login(client, method):
    if method == "universal":
        client.auth.universal_auth.login(os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"])
    elif method == "oidc":
        client.auth.oidc_auth.login(os.environ["IDENTITY_ID"], os.environ["JWT"])
    elif method == "aws":
        client.auth.aws_auth.login(os.environ["IDENTITY_ID"])
    else:
        client.auth.token_auth.login(os.environ["TOKEN"])


def main():
    url, method = sys.argv[1:]
    client = InfisicalSDKClient(host=url, cache_ttl=None)
    get = lambda name, path="/", project="p1": secret(
        client.secrets.get_secret_by_name(
            secret_name=name, project_id=project, environment_slug="prod", secret_path=path
        )
    )

    def listed(path="/", **more):
        found = client.secrets.list_secrets(
            project_id="p1", environment_slug="prod", secret_path=path, **more
        )
        imports = [[imported(each) for each in one.secrets] for one in found.imports]
        return {"secrets": [secret(each) for each in found.secrets], "imports": imports}

    json.dump(
        {
            "login": attempt(lambda: login(client, method)),
            "one": attempt(lambda: get("KEY")),
            "in a folder": attempt(lambda: get("KEY", "/app/db")),
            "imported": attempt(lambda: get("IMPORTED")),
            "list": attempt(listed),
            "names": attempt(lambda: listed(view_secret_value=False)),
            "missing secret": attempt(lambda: get("NONE")),
            "missing folder": attempt(lambda: listed("/none")),
            "missing project": attempt(lambda: get("KEY", project="none")),
        },
        sys.stdout,
    )


main()
