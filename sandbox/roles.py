"""Roles in a running sandbox, and sessions of them: who has one may do what its policies allow, and no more."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import boto3

from sandbox.host import Sandbox

ACCOUNT = "123456789012"


class Roles:
    """A session of each, by name."""

    def __init__(self, sandbox: Sandbox, arns: Mapping[str, str]) -> None:
        self._environments = {}
        for name, arn in arns.items():
            made = _client(sandbox, "sts").assume_role(RoleArn=arn, RoleSessionName="rehearsal")["Credentials"]
            self._environments[name] = {
                "AWS_ACCESS_KEY_ID": made["AccessKeyId"],
                "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"],
                "AWS_SESSION_TOKEN": made["SessionToken"],
            }

    @classmethod
    def make(cls, sandbox: Sandbox, documents: Mapping[str, Sequence[Mapping[str, Any]]]) -> Roles:
        """New ones, each with these policies."""
        iam = _client(sandbox, "iam")
        trust = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
        trusting = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        arns = {}
        for name, policies in documents.items():
            role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trusting)
            arns[name] = role["Role"]["Arn"]
            for number, document in enumerate(policies, start=1):
                made = iam.create_policy(PolicyName=f"{name}-{number}", PolicyDocument=json.dumps(document))
                iam.attach_role_policy(RoleName=name, PolicyArn=made["Policy"]["Arn"])
        return cls(sandbox, arns)

    def environment(self, name: str) -> Mapping[str, str]:
        return self._environments[name]

    @contextmanager
    def acting_as(self, name: str) -> Iterator[None]:
        """This process and what it starts meanwhile."""
        before = dict(os.environ)
        os.environ.update(self.environment(name))
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def _client(sandbox: Sandbox, service: str) -> Any:
    """An administrator's."""
    return boto3.client(
        service,
        endpoint_url=sandbox.endpoint,
        region_name=sandbox.region,
        aws_access_key_id="sandbox",
        aws_secret_access_key="sandbox",
    )
