"""Reads a key vault with Microsoft's own clients and prints what they got as JSON.

Run by `azkv_official_client.rs`. The arguments are the vault's address, the authority's host and a version of the secret
`binary`; how to log in is the variable WAY, and what that needs is in the usual variables.
"""

import json
import os
import socket
import sys

from azure.core.exceptions import HttpResponseError
from azure.identity import (
    CertificateCredential,
    ClientSecretCredential,
    ManagedIdentityCredential,
    WorkloadIdentityCredential,
)
from azure.keyvault.secrets import SecretClient

# Names below localhost are this machine's (RFC 6761), which not every resolver knows.
look_up = socket.getaddrinfo
socket.getaddrinfo = lambda host, *rest, **more: look_up(
    "127.0.0.1" if str(host).endswith("localhost") else host, *rest, **more
)


def credential(authority):
    way = os.environ["WAY"]
    if way in ("machine", "app-service"):
        return ManagedIdentityCredential(retry_total=0)
    arguments = {
        "tenant_id": os.environ["AZURE_TENANT_ID"],
        "client_id": os.environ["AZURE_CLIENT_ID"],
        "authority": authority,
        "disable_instance_discovery": True,
    }
    if way == "secret":
        return ClientSecretCredential(client_secret=os.environ["AZURE_CLIENT_SECRET"], **arguments)
    if way == "certificate":
        return CertificateCredential(certificate_path=os.environ["AZURE_CLIENT_CERTIFICATE_PATH"], **arguments)
    return WorkloadIdentityCredential(token_file_path=os.environ["AZURE_FEDERATED_TOKEN_FILE"], **arguments)


def secret(found):
    return {
        "name": found.name,
        "value": found.value,
        "version": found.properties.version,
        "enabled": found.properties.enabled,
    }


def attempt(action):
    try:
        return {"ok": action()}
    except HttpResponseError as error:
        code = error.error.code if error.error else None
        inner = error.error.innererror if error.error else None
        return {
            "refused": type(error).__name__,
            "status": error.status_code,
            "code": code,
            "inner": inner.get("code") if inner else None,
            "message": error.message,
        }
    except Exception as error:  # what the client raises is what the test wants to see
        return {"refused": type(error).__name__, "message": str(error)}


def main():
    vault, authority, version = sys.argv[1:]
    client = SecretClient(vault, credential(authority), retry_total=0)
    json.dump(
        {
            "current": attempt(lambda: secret(client.get_secret("rotating"))),
            "first": attempt(lambda: secret(client.get_secret("rotating", version))),
            "names": attempt(lambda: [each.name for each in client.list_properties_of_secrets()]),
            "disabled": attempt(lambda: secret(client.get_secret("off"))),
            "denied": attempt(lambda: secret(client.get_secret("hidden"))),
            "missing": attempt(lambda: secret(client.get_secret("nowhere"))),
            "deleted": attempt(lambda: secret(client.get_secret("gone"))),
            "recoverable": attempt(lambda: client.get_deleted_secret("gone").name),
        },
        sys.stdout,
    )


main()
