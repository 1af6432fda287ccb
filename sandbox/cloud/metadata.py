"""The instance metadata service, version 2 only, per machine under `/_imds/<instance id>/latest/`."""

from __future__ import annotations

import base64
import json
import secrets
import time
from dataclasses import dataclass
from http import HTTPStatus

from moto.ec2.models.instances import Instance

from sandbox.cloud.cloud import Cloud

_LONGEST_TOKEN_SECONDS = 21600


@dataclass(frozen=True)
class Answer:
    status: HTTPStatus
    body: str = ""


class Metadata:
    """Tokens, and what a machine may know of itself."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._tokens: dict[str, tuple[str, float]] = {}

    def answer(self, method: str, instance_id: str, path: str, *, token: str | None, ttl: str | None) -> Answer:
        """`path` is what follows `/latest/`."""
        with self._cloud.lock:
            instance = self._cloud.instance(instance_id)
            if instance is None:
                return Answer(HTTPStatus.NOT_FOUND)
            if instance.metadata_options.http_endpoint == "disabled":
                return Answer(HTTPStatus.FORBIDDEN)
            if path == "api/token":
                return self._new_token(method, instance_id, ttl)
            if method not in ("GET", "HEAD"):
                return Answer(HTTPStatus.METHOD_NOT_ALLOWED)
            if not self._is_valid(token, instance_id):
                return Answer(HTTPStatus.UNAUTHORIZED)
            found = self._tree(instance).get(path.rstrip("/"))
            return Answer(HTTPStatus.NOT_FOUND) if found is None else Answer(HTTPStatus.OK, found)

    def _new_token(self, method: str, instance_id: str, ttl: str | None) -> Answer:
        if method != "PUT":
            return Answer(HTTPStatus.METHOD_NOT_ALLOWED)
        if ttl is None or not ttl.isdigit() or not 1 <= int(ttl) <= _LONGEST_TOKEN_SECONDS:
            return Answer(HTTPStatus.BAD_REQUEST)
        now = time.monotonic()
        self._tokens = {token: owner for token, owner in self._tokens.items() if owner[1] > now}
        token = secrets.token_urlsafe(40)
        self._tokens[token] = (instance_id, now + int(ttl))
        return Answer(HTTPStatus.OK, token)

    def _is_valid(self, token: str | None, instance_id: str) -> bool:
        owner, until = self._tokens.get(token or "", ("", 0.0))
        return owner == instance_id and time.monotonic() < until

    def _tree(self, instance: Instance) -> dict[str, str]:
        """Every document by its path; directories list what is in them."""
        facts = {
            "ami-id": instance.image_id,
            "instance-id": instance.id,
            "instance-type": instance.instance_type,
            "local-ipv4": instance.private_ip or "",
            "local-hostname": instance.private_dns_name,
            "placement/availability-zone": instance.availability_zone or "",
            "placement/region": instance.region_name,
            "security-groups": "\n".join(group.name for group in instance.security_groups),
        }
        if instance.metadata_options.instance_metadata_tags == "enabled":
            for tag in instance.get_tags():
                facts[f"tags/instance/{tag['key']}"] = tag["value"]
        documents = {f"meta-data/{path}": value for path, value in facts.items()}
        documents["dynamic/instance-identity/document"] = json.dumps(
            {
                "accountId": instance.owner_id,
                "architecture": instance.architecture,
                "availabilityZone": instance.availability_zone,
                "imageId": instance.image_id,
                "instanceId": instance.id,
                "instanceType": instance.instance_type,
                "privateIp": instance.private_ip,
                "region": instance.region_name,
            },
            indent=2,
        )
        if instance.user_data:
            raw = base64.b64decode(instance.user_data.as_bytes())
            documents["user-data"] = raw.decode("utf-8", "surrogateescape")  # it may be gzip
        for path in list(documents):
            parts = path.split("/")
            # A tag's key may have slashes of its own; it is listed whole.
            depth = 3 if path.startswith("meta-data/tags/instance/") else len(parts) - 1
            for end in range(1, depth + 1):
                folder, entry = "/".join(parts[:end]), parts[end]
                if end == depth:
                    entry = "/".join(parts[end:])
                elif end < len(parts) - 1:
                    entry += "/"
                listing = documents.get(folder, "")
                if entry not in listing.split("\n"):
                    documents[folder] = f"{listing}\n{entry}".strip()
        return documents
