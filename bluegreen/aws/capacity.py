"""The one AWS write that a deployment makes outside Pulumi: raising a desired capacity before it takes traffic."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError

from bluegreen.aws.observe import Observer
from bluegreen.aws.session import Session, as_aws_error
from bluegreen.errors import AwsError
from bluegreen.model.observation import Group


def raise_desired_capacity(session: Session, group: Group, desired: int) -> Group:
    """Raise `group` to `desired` machines, or units of its weights, within its maximum, and read it back. Never lowers.

    Raises AwsError where AWS refuses, or does not show the new number.
    """
    wanted = min(desired, group.maximum)
    if wanted <= group.desired:
        return group
    try:
        session.client("autoscaling").set_desired_capacity(
            AutoScalingGroupName=group.name, DesiredCapacity=wanted, HonorCooldown=False
        )
    except (BotoCoreError, ClientError) as error:
        raise as_aws_error(error) from error
    seen = Observer(session).group(group.name)
    if seen is None or seen.desired < wanted:
        shown = "no such group" if seen is None else str(seen.desired)
        what = "units" if group.weights else "machines"
        raise AwsError(f"{group.name} was raised to {wanted} {what}, but AWS shows {shown}")
    return seen
