"""Reads a Bitwarden with its vendor's own client and prints what it got as JSON.

Run by `bitwarden_official_client.rs`. The address is the first argument, then come the ids of the organization, of two
secrets that may be read, of one that may not, and of a project; the access token is in BWS_ACCESS_TOKEN.
"""

import json
import os
import sys

from bitwarden_sdk import BitwardenClient, DeviceType, client_settings_from_dict


def secret(secret):
    return {"key": secret.key, "value": secret.value, "organization": str(secret.organization_id)}


def attempt(action):
    try:
        return {"ok": action()}
    except Exception as error:  # what the client raises is what the test wants to see
        return {"refused": str(error)}


def main():
    url, organization, one, other, closed, project = sys.argv[1:]
    client = BitwardenClient(
        client_settings_from_dict(
            {
                "apiUrl": url + "/api",
                "identityUrl": url + "/identity",
                "deviceType": DeviceType.SDK,
                "userAgent": "Python",
            }
        )
    )
    login = attempt(lambda: client.auth().login_access_token(os.environ["BWS_ACCESS_TOKEN"]) and None)
    secrets, projects = client.secrets(), client.projects()
    several = lambda ids: {str(each.id): secret(each) for each in secrets.get_by_ids(ids).data.data}
    json.dump(
        {
            "login": login,
            "one": attempt(lambda: secret(secrets.get(one).data)),
            "both": attempt(lambda: several([one, other])),
            "one closed": attempt(lambda: secret(secrets.get(closed).data)),
            "one of both closed": attempt(lambda: several([one, closed])),
            "one twice": attempt(lambda: several([one, one])),
            "list": attempt(lambda: {str(each.id): each.key for each in secrets.list(organization).data.data}),
            "project": attempt(lambda: projects.get(project).data.name),
            "projects": attempt(lambda: {str(each.id): each.name for each in projects.list(organization).data.data}),
            "sync": attempt(
                lambda: {str(each.id): secret(each) for each in secrets.sync(organization, None).data.secrets}
            ),
        },
        sys.stdout,
    )


main()
