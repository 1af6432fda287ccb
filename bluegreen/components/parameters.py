"""What other systems read of a service: SSM parameters."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
import pulumi_aws as aws

from bluegreen.model.tags import Owner


def publish(
    owner: Owner, values: Mapping[str, pulumi.Input[str]], tags: Mapping[str, str], opts: pulumi.ResourceOptions
) -> None:
    """A parameter `/bluegreen/PROJECT/STACK/SERVICE/KEY` for each value, all with the same options."""
    for key, value in values.items():
        aws.ssm.Parameter(
            f"{owner.service}-{key}",
            name=f"/bluegreen/{owner.project}/{owner.stack}/{owner.service}/{key}",
            type="String",
            insecure_value=value,  # a plain `value` counts as a secret
            # The name is ours alone: one that a killed update left outside the state is taken over, and no error.
            overwrite=True,
            tags={**tags, "Name": f"{owner.service}-{key}"},
            opts=opts,
        )
