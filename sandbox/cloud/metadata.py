"""The instance metadata service, per machine under `/_imds/<instance id>/latest/`.

Source: the EC2 user guide, "Use the Instance Metadata Service to access instance metadata" and "Instance metadata
categories". The hop limit is not looked at.
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from moto.ec2.models.instances import Instance
from moto.sts.models import AssumedRole, sts_backends

from sandbox.cloud.cloud import Cloud
from sandbox.cloud.moto_gaps.launches import profile_of

_TTL = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"
_LONGEST_TOKEN_SECONDS = 21600
_CREDENTIALS_LAST, _RENEWED_BEFORE = timedelta(hours=6), timedelta(minutes=5)


@dataclass(frozen=True)
class _Credentials:
    of: AssumedRole
    expiration: datetime


@dataclass(frozen=True)
class Answer:
    status: HTTPStatus
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class Metadata:
    """Tokens, and what a machine may know of itself."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._tokens: dict[str, tuple[str, float]] = {}
        self._credentials: dict[tuple[str, str], _Credentials] = {}

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
            is_needed = instance.metadata_options.http_tokens == "required"
            if (token or is_needed) and not self._is_valid(token, instance_id):
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
        return Answer(HTTPStatus.OK, token, {_TTL: ttl})

    def _is_valid(self, token: str | None, instance_id: str) -> bool:
        owner, until = self._tokens.get(token or "", ("", 0.0))
        return owner == instance_id and time.monotonic() < until

    def _tree(self, instance: Instance) -> dict[str, str]:
        """Every document by its path; directories list what is in them."""
        facts = {
            "ami-id": instance.image_id,
            "ami-launch-index": str(instance.ami_launch_index),
            "instance-id": instance.id,
            "instance-life-cycle": instance.lifecycle or "on-demand",
            "instance-type": instance.instance_type,
            "local-ipv4": instance.private_ip or "",
            "local-hostname": instance.private_dns_name,
            "placement/availability-zone": instance.availability_zone or "",
            "placement/region": instance.region_name,
            "services/domain": "amazonaws.com",
            "services/partition": "aws",
            "security-groups": "\n".join(group.name for group in instance.security_groups),
        }
        facts |= self._of_role(instance) | self._of_group(instance)
        if instance.key_name:
            facts["public-keys/0/openssh-key"] = instance.ec2_backend.key_pairs[instance.key_name].public_key or ""
        if instance.metadata_options.instance_metadata_tags == "enabled":
            for tag in instance.get_tags():
                facts[f"tags/instance/{tag['key']}"] = tag["value"]
        documents = {f"meta-data/{path}": value for path, value in facts.items()}
        documents["dynamic/instance-identity/document"] = json.dumps(
            {
                "accountId": instance.owner_id,
                "architecture": instance.architecture,
                "pendingTime": instance.launch_time.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "version": "2017-09-30",
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

    def _of_role(self, instance: Instance) -> dict[str, str]:
        """The credentials of its instance profile's role. They last for as long as EC2's do."""
        profile = profile_of(instance)
        if profile is None or not profile.roles:
            return {}
        role, until = profile.roles[0], datetime.now(UTC) + _CREDENTIALS_LAST
        known = self._credentials.get((instance.id, role.arn))
        if known is None or known.expiration - datetime.now(UTC) < _RENEWED_BEFORE:
            sts = sts_backends[instance.owner_id]["aws"]
            known = self._credentials[instance.id, role.arn] = _Credentials(
                sts.assume_role(
                    instance.region_name, instance.id, role.arn, "", int(_CREDENTIALS_LAST.total_seconds()), ""
                ),
                until,
            )
        updated = _stamp(known.expiration - _CREDENTIALS_LAST)
        return {
            "iam/info": json.dumps(
                {
                    "Code": "Success",
                    "LastUpdated": updated,
                    "InstanceProfileArn": profile.arn,
                    "InstanceProfileId": profile.id,
                },
                indent=2,
            ),
            f"iam/security-credentials/{role.name}": json.dumps(
                {
                    "Code": "Success",
                    "LastUpdated": updated,
                    "Type": "AWS-HMAC",
                    "AccessKeyId": known.of.access_key_id,
                    "SecretAccessKey": known.of.secret_access_key,
                    "Token": known.of.session_token,
                    "Expiration": _stamp(known.expiration),
                },
                indent=2,
            ),
        }

    def _of_group(self, instance: Instance) -> dict[str, str]:
        """What its Auto Scaling group wants it to become."""
        group = getattr(instance, "autoscaling_group", None)
        state = next((it for it in group.instance_states if it.instance_id == instance.id), None) if group else None
        if state is None:
            return {}
        is_leaving = state.lifecycle_state.startswith("Terminating")
        return {"autoscaling/target-lifecycle-state": "Terminated" if is_leaving else "InService"}


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
