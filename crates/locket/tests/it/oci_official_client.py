"""Reads a tenancy of Oracle Cloud with Oracle's own client and prints what it got as JSON.

Run by `oci_official_client.rs`. The address of the service is the first argument, and then a secret's OCID, the vault's
OCID, and the secret's name. As whom to sign is the variable WAY; what it needs is in the usual variables and files.
"""

import base64
import json
import os
import sys

import oci
from oci.auth import signers


def signer_and_config(way, url):
    if way == "api-key":
        return {}, oci.config.from_file(os.environ["CONFIG"], "TEST")
    if way == "session":
        config = oci.config.from_file(os.environ["CONFIG"], "TEST")
        key = oci.signer.load_private_key_from_file(config["key_file"])
        with open(config["security_token_file"]) as token:
            return {"signer": signers.SecurityTokenSigner(token.read(), key)}, {"region": "us-ashburn-1"}
    if way == "resource":
        return {"signer": signers.get_resource_principals_signer()}, {}
    signer = signers.InstancePrincipalsSecurityTokenSigner(
        federation_endpoint=url + "/v1/x509", retry_strategy=oci.retry.NoneRetryStrategy()
    )
    return {"signer": signer}, {}


def bundle(response):
    data = response.data
    return {
        "id": data.secret_id,
        "content": base64.b64decode(data.secret_bundle_content.content).hex(),
        "type": data.secret_bundle_content.content_type,
        "number": data.version_number,
        "name": data.version_name,
        "stages": data.stages,
        "made": data.time_created.isoformat(),
    }


def attempt(action):
    try:
        return {"ok": action()}
    except oci.exceptions.ServiceError as error:
        return {"status": error.status, "code": error.code}
    except Exception as error:  # what the client raises is what the test wants to see
        return {"refused": type(error).__name__, "message": str(error)}


def main():
    url, secret, vault, name = sys.argv[1:]

    def connect():
        arguments, config = signer_and_config(os.environ["WAY"], url)
        retry = oci.retry.NoneRetryStrategy()
        return oci.secrets.SecretsClient(config, service_endpoint=url, retry_strategy=retry, **arguments)

    connected = attempt(lambda: connect() and None)
    if connected != {"ok": None}:
        json.dump({"login": connected}, sys.stdout)
        return
    client = connect()
    get = client.get_secret_bundle
    json.dump(
        {
            "current": attempt(lambda: bundle(get(secret))),
            "previous": attempt(lambda: bundle(get(secret, stage="PREVIOUS"))),
            "first": attempt(lambda: bundle(get(secret, version_number=1))),
            "blue": attempt(lambda: bundle(get(secret, secret_version_name="blue"))),
            "by name": attempt(lambda: bundle(client.get_secret_bundle_by_name(name, vault, stage="CURRENT"))),
            "missing version": attempt(lambda: bundle(get(secret, version_number=9))),
            "missing": attempt(lambda: bundle(get(secret + "x"))),
            "missing name": attempt(lambda: bundle(client.get_secret_bundle_by_name("nowhere", vault))),
        },
        sys.stdout,
    )


main()
