"""What the machines' own role may do: `InstanceRole`, and the statements of its policy. Pure.

The rights are part of the release. A server group keeps the role that it began with, and a rollback brings back the
rights that the release had; releases of the same rights share a role.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, model_validator

from bluegreen.model import backups
from bluegreen.model.artifact_bucket import own_bucket_name, prefix_of
from bluegreen.model.consul import agent_rights, path_of, server_rights
from bluegreen.model.encryption import use_in_buckets
from bluegreen.model.schema import ConfigModel, refusal
from bluegreen.model.tags import Owner


def _action(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9-]+:[A-Za-z0-9*?]+", value):
        raise refusal(f"{value!r} is not an action of IAM; one looks like dynamodb:GetItem")
    return value


def _resource(value: str) -> str:
    if value != "*" and not re.fullmatch(r"arn:[\w*-]+:[\w*-]+:[^:\s]*:[^:\s]*:\S+", value):
        raise refusal(f"{value!r} is not an ARN, nor *")
    return value


def _namespace(value: str) -> str:
    """CloudWatch API, PutMetricData: Namespace."""
    if value and (not re.fullmatch(r"[\w.#:/-]{1,255}", value, re.ASCII) or value.startswith((":", "AWS/"))):
        raise refusal(
            f"{value!r} is not a namespace of your own: at most 255 letters, digits and . - _ / # :, and not AWS/"
        )
    return value


class Statement(ConfigModel):
    """A right of the app's own, as IAM has it."""

    actions: tuple[Annotated[str, AfterValidator(_action)], ...]
    resources: tuple[Annotated[str, AfterValidator(_resource)], ...]
    condition: dict[str, dict[str, Any]] = {}

    @model_validator(mode="after")
    def _says_something(self) -> Statement:
        if not self.actions or not self.resources:
            raise refusal("needs at least one action and one resource")
        return self


class InstanceRole(ConfigModel):
    """Nothing is allowed but what is named.

    `artifacts`: to read the service's. `parameters`: to read the service's in SSM. `sessions`: Session Manager.
    `metrics`: the CloudWatch namespace that they may publish in. `logs`: to write the service's log group.
    `backups`: to upload the service's. `consul`: for the machine's agent to be in the stack's Consul cluster.
    `statements`: what the app needs besides.
    """

    artifacts: bool = False
    parameters: bool = False
    sessions: bool = False
    metrics: Annotated[str, AfterValidator(_namespace)] = ""
    logs: bool = False
    backups: bool = False
    consul: bool = False
    statements: tuple[Statement, ...] = ()

    @model_validator(mode="after")
    def _allows_something(self) -> InstanceRole:
        if self == InstanceRole.model_construct():
            raise refusal("allows nothing; leave it out for machines without a role")
        return self


@dataclass(frozen=True, kw_only=True)
class Place:
    """Whose machines they are, and where. `bucket`: as `artifactBucket` says. `backup_bucket`: its name, if not made
    up. `key`: ARN of the KMS key that encrypts them, empty for S3's own."""

    owner: Owner
    partition: str
    region: str
    account: str
    bucket: str = ""
    backup_bucket: str = ""
    key: str = ""

    def arn(self, service: str, resource: str) -> str:
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def parameters(self, path: str) -> str:
        """The ARN of a path in SSM."""
        return self.arn("ssm", f"parameter{path}")


def digest_of(rights: str) -> str:
    """In the names of what has them."""
    return hashlib.sha256(rights.encode()).hexdigest()[:8]


def trust() -> dict[str, Any]:
    """Who may have the role: machines."""
    principal = {"Service": "ec2.amazonaws.com"}
    return _document([{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}])


def policy_of(role: InstanceRole, place: Place) -> dict[str, Any]:
    """The document of its policy."""
    return _document(list(_statements(role, place)))


def consul_policy_of(place: Place, group: str) -> dict[str, Any]:
    """The same of Consul's servers. `group`: how the name of their Auto Scaling group begins."""
    groups = place.arn("autoscaling", f"autoScalingGroup:*:autoScalingGroupName/{group}-*")
    rights = server_rights(place.parameters(path_of(place.owner)), groups)
    return _document([_sessions(), *(_allow(*each) for each in rights)])


def _sessions() -> dict[str, Any]:
    """Of AmazonSSMManagedInstanceCore only what Session Manager needs. None of it is about a resource."""
    channels = ("CreateControlChannel", "CreateDataChannel", "OpenControlChannel", "OpenDataChannel")
    return _allow("Sessions", ["ssm:UpdateInstanceInformation", *(f"ssmmessages:{each}" for each in channels)], ["*"])


def _statements(role: InstanceRole, place: Place) -> Iterator[dict[str, Any]]:
    owner = place.owner
    path = f"bluegreen/{owner.project}/{owner.stack}/{owner.service}"
    if role.artifacts:
        bucket = place.bucket or own_bucket_name(owner.project, owner.stack, place.account, place.region)
        yield _allow(
            "Artifacts", ["s3:GetObject"], [f"arn:{place.partition}:s3:::{bucket}/{prefix_of(owner.service)}*"]
        )
    if role.parameters:
        ours = place.arn("ssm", f"parameter/{path}")
        actions = ["ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath"]
        yield _allow("Parameters", actions, [ours, f"{ours}/*"])
    if role.sessions:
        yield _sessions()
    if role.metrics:
        within = {"StringEquals": {"cloudwatch:namespace": role.metrics}}
        yield _allow("Metrics", ["cloudwatch:PutMetricData"], ["*"]) | {"Condition": within}
    if role.logs:
        group = place.arn("logs", f"log-group:/{path}")
        actions = ["CreateLogGroup", "PutRetentionPolicy", "CreateLogStream", "DescribeLogStreams", "PutLogEvents"]
        yield _allow("Logs", [f"logs:{each}" for each in actions], [group, f"{group}:*"])
    if role.backups:
        bucket = place.backup_bucket
        bucket = bucket or own_bucket_name(owner.project, owner.stack, place.account, place.region, backups.KIND)
        yield dict(backups.upload_statement(f"arn:{place.partition}:s3:::{bucket}", owner.service))
    actions = [*(["Decrypt"] if role.artifacts or role.backups else []), *(["GenerateDataKey"] if role.backups else [])]
    if actions and place.key:
        yield dict(use_in_buckets(place.key, place.region, actions))
    if role.consul:
        for name, actions, resources in agent_rights(place.parameters(path_of(owner))):
            yield _allow(name, actions, resources)
    for statement in role.statements:
        condition = {"Condition": statement.condition} if statement.condition else {}
        yield {
            "Effect": "Allow",
            "Action": list(statement.actions),
            "Resource": list(statement.resources),
            **condition,
        }


def _allow(name: str, actions: list[str], resources: list[str]) -> dict[str, Any]:
    return {"Sid": name, "Effect": "Allow", "Action": actions, "Resource": resources}


def _document(statements: list[dict[str, Any]]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": statements}
