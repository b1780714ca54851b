"""Reads a Connect server with 1Password's own client and prints what it got as JSON.

Run by `connect_official_client.rs`. The address is the first argument, the token is in OP_CONNECT_TOKEN; the other
arguments name a vault and an item by name, and both by id.
"""

import base64
import json
import os
import sys

from onepasswordconnectsdk.client import Client


def field(field):
    section = field.section.id if field.section else None
    return {
        "id": field.id,
        "label": field.label,
        "type": field.type,
        "purpose": field.purpose,
        "section": section,
        "value": field.value,
        "totp": field.totp,
    }


def item(item):
    return {
        "id": item.id,
        "title": item.title,
        "category": item.category,
        "version": item.version,
        "vault": item.vault.id,
        "sections": {section.id: section.label for section in item.sections or []},
        "fields": [field(each) for each in item.fields or []],
    }


def attempt(action):
    try:
        return {"ok": action()}
    except Exception as error:  # what the client raises is what the test wants to see
        return {"refused": type(error).__name__, "message": str(error)}


def files(client, item_id, vault_id):
    return {
        file.name: {
            "size": file.size,
            "content": base64.b64encode(
                client.get_file_content(file.id, item_id, vault_id, file.content_path)
            ).decode(),
            "same": client.get_file_content(file.id, item_id, vault_id)
            == client.get_file_content(file.id, item_id, vault_id, file.content_path),
            "alone": client.get_file(file.id, item_id, vault_id).name,
        }
        for file in client.get_files(item_id, vault_id)
    }


def main():
    url, vault, title, vault_id, item_id = sys.argv[1:]
    client = Client(url, os.environ["OP_CONNECT_TOKEN"])
    json.dump(
        {
            "vaults": attempt(lambda: {each.id: each.name for each in client.get_vaults()}),
            "vault by id": attempt(lambda: client.get_vault(vault_id).name),
            "vault by name": attempt(lambda: client.get_vault_by_title(vault).id),
            "items": attempt(lambda: [each.title for each in client.get_items(vault_id)]),
            "items by filter": attempt(
                lambda: [each.id for each in client.get_items(vault_id, 'tag eq "production"')]
            ),
            "item by title": attempt(lambda: item(client.get_item(title, vault))),
            "item by id": attempt(lambda: item(client.get_item(item_id, vault_id))),
            "files": attempt(lambda: files(client, item_id, vault_id)),
            "missing item": attempt(lambda: item(client.get_item("no such item", vault))),
            "missing id": attempt(lambda: item(client.get_item_by_id("a" * 26, vault_id))),
            "malformed id": attempt(lambda: item(client.get_item_by_id("not-an-id", vault_id))),
            "quote": attempt(lambda: item(client.get_item('say "hi"', vault))),
            "write": attempt(lambda: client.delete_item(item_id, vault_id)),
        },
        sys.stdout,
    )


main()
