"""Finds the parts of a stack's server groups by their tags, and deletes those that were decided to be orphans.

The decision is `bluegreen.model.orphans`. Of AWS's writes that are made outside Pulumi these are the only deletes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from bluegreen.aws.observe.balancers import MOST_ARNS_IN_A_CALL
from bluegreen.aws.observe.groups import weights_in
from bluegreen.aws.session import Session, as_aws_error, in_our_words, is_fault
from bluegreen.model.orphans import Kind, Part
from bluegreen.model.tags import RELEASE, SERVER_GROUP, Owner
from bluegreen.model.weights import most_machines

OF_A_RELEASE = re.compile(r"[A-Za-z0-9-]{1,15}-[0-9a-f]{8}-")
"""How the names of a release's alarms begin. Alarms tell their tags one by one: others are not asked for theirs."""

ALREADY_GONE = (
    "TargetGroupNotFound",
    "InvalidLaunchTemplateId.NotFound",
    "InvalidLaunchTemplateName.NotFoundException",
    "ResourceNotFound",
)


class Reaper:
    """Asks AWS, and deletes. Raises AwsError where it can't be asked."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @in_our_words
    def parts(self, owner: Owner, state: Collection[str]) -> tuple[Part, ...]:
        """Every part of every server group with the owner's tags; those of what is in the state as far as they come
        with it. `state`: ids that need not be asked for their tags.

        Calls: one a page of Auto Scaling groups, their policies, launch templates, target groups and alarms; one for
        the tags of twenty target groups, one for those of each alarm, of those that are not in the state.
        """
        groups = list(self._groups(owner))
        templates: dict[str, list[str]] = {}
        for group, template in groups:
            templates.setdefault(template, []).append(group.name)
        attached = {
            arn: tuple(group.name for group, _ in groups if arn in group.target_groups)
            for arn in {arn for group, _ in groups for arn in group.target_groups}
        }
        lost = [group.name for group, _ in groups if group.id not in state]
        return (
            *(group for group, _ in groups),
            *self._policies(lost),
            *self._templates(owner, templates),
            *self._target_groups(owner, attached, state),
            *self._alarms(owner, state),
        )

    def delete(self, part: Part) -> str:
        """Delete a part, and see that it is gone. Returns what AWS said against it, empty where it is gone or going."""
        try:
            self._delete(part)
            return "" if self._is_gone(part) else "AWS still shows it"
        except ClientError as error:
            is_gone = is_fault(error, *ALREADY_GONE) or "not found" in str(error)
            return "" if is_gone else as_aws_error(error).what
        except BotoCoreError as error:
            return as_aws_error(error).what

    def _delete(self, part: Part) -> None:
        autoscaling = self._session.client("autoscaling")
        match part.kind:
            case Kind.ALARM:
                self._session.client("cloudwatch").delete_alarms(AlarmNames=[part.name])
            case Kind.POLICY:
                autoscaling.delete_policy(AutoScalingGroupName=part.groups[0], PolicyName=part.name)
            case Kind.GROUP:
                # Without force AWS refuses a group that has machines, warm ones too; those that are here were let pass.
                is_forced = part.machines > 0 or part.has_pool
                autoscaling.delete_auto_scaling_group(AutoScalingGroupName=part.name, ForceDelete=is_forced)
            case Kind.TEMPLATE:
                self._session.client("ec2").delete_launch_template(LaunchTemplateId=part.id)
            case Kind.TARGET_GROUP:
                self._session.client("elbv2").delete_target_group(TargetGroupArn=part.id)

    def _is_gone(self, part: Part) -> bool:
        autoscaling = self._session.client("autoscaling")
        match part.kind:
            case Kind.ALARM:
                found = self._session.client("cloudwatch").describe_alarms(AlarmNames=[part.name])["MetricAlarms"]
            case Kind.POLICY:
                found = autoscaling.describe_policies(AutoScalingGroupName=part.groups[0], PolicyNames=[part.name])[
                    "ScalingPolicies"
                ]
            case Kind.GROUP:
                groups = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[part.name])
                # While its machines end it has this status (Auto Scaling API, DeleteAutoScalingGroup).
                found = [each for each in groups["AutoScalingGroups"] if each.get("Status") != "Delete in progress"]
            case Kind.TEMPLATE:
                filters = [{"Name": "launch-template-name", "Values": [part.name]}]
                found = self._session.client("ec2").describe_launch_templates(Filters=filters)["LaunchTemplates"]
            case Kind.TARGET_GROUP:
                # Raises where it is gone.
                found = self._session.client("elbv2").describe_target_groups(TargetGroupArns=[part.id])["TargetGroups"]
        return not found

    def _groups(self, owner: Owner) -> Iterator[tuple[Part, str]]:
        """Each with the id of its launch template."""
        pages = self._session.client("autoscaling").get_paginator("describe_auto_scaling_groups")
        for page in pages.paginate(Filters=_filters(owner)):
            for each in page["AutoScalingGroups"]:
                if each.get("Status") == "Delete in progress":
                    continue
                name = each["AutoScalingGroupName"]
                part = Part(
                    kind=Kind.GROUP,
                    id=name,
                    name=name,
                    release=_tags(each).get(RELEASE, ""),
                    groups=(name,),
                    target_groups=tuple(each.get("TargetGroupARNs", [])),
                    machines=max(
                        len(each.get("Instances", [])), most_machines(each["DesiredCapacity"], weights_in(each))
                    ),
                    has_pool="WarmPoolConfiguration" in each,
                )
                yield part, each.get("LaunchTemplate", {}).get("LaunchTemplateId", "")

    def _policies(self, groups: list[str]) -> Iterator[Part]:
        """Policies have no tags: they are their group's."""
        pages = self._session.client("autoscaling").get_paginator("describe_policies")
        for group in groups:
            for page in pages.paginate(AutoScalingGroupName=group):
                for each in page["ScalingPolicies"]:
                    # The state knows a policy by its name, which another group's may have too.
                    yield Part(kind=Kind.POLICY, id=each["PolicyARN"], name=each["PolicyName"], groups=(group,))

    def _templates(self, owner: Owner, used: Mapping[str, list[str]]) -> Iterator[Part]:
        pages = self._session.client("ec2").get_paginator("describe_launch_templates")
        for page in pages.paginate(Filters=_filters(owner), PaginationConfig={"PageSize": 200}):
            for each in page["LaunchTemplates"]:
                yield Part(
                    kind=Kind.TEMPLATE,
                    id=each["LaunchTemplateId"],
                    name=each["LaunchTemplateName"],
                    release=_tags(each).get(RELEASE, ""),
                    groups=tuple(used.get(each["LaunchTemplateId"], ())),
                )

    def _target_groups(
        self, owner: Owner, attached: Mapping[str, tuple[str, ...]], state: Collection[str]
    ) -> Iterator[Part]:
        elb = self._session.client("elbv2")
        pages = elb.get_paginator("describe_target_groups").paginate()
        named = {each["TargetGroupArn"]: each["TargetGroupName"] for page in pages for each in page["TargetGroups"]}
        unknown = [arn for arn in named if arn not in state]
        for start in range(0, len(unknown), MOST_ARNS_IN_A_CALL):
            answer = elb.describe_tags(ResourceArns=unknown[start : start + MOST_ARNS_IN_A_CALL])
            for each in answer["TagDescriptions"]:
                tags = _tags(each)
                if _is_of(owner, tags):
                    arn = each["ResourceArn"]
                    yield Part(
                        kind=Kind.TARGET_GROUP,
                        id=arn,
                        name=named[arn],
                        release=tags.get(RELEASE, ""),
                        groups=attached.get(arn, ()),
                    )

    def _alarms(self, owner: Owner, state: Collection[str]) -> Iterator[Part]:
        cloudwatch = self._session.client("cloudwatch")
        for page in cloudwatch.get_paginator("describe_alarms").paginate(AlarmTypes=["MetricAlarm"]):
            for each in page["MetricAlarms"]:
                name = each["AlarmName"]
                if name in state or not OF_A_RELEASE.match(name):
                    continue
                tags = _tags(cloudwatch.list_tags_for_resource(ResourceARN=each["AlarmArn"]))
                if _is_of(owner, tags) and RELEASE in tags:
                    group = tags.get(SERVER_GROUP, "")
                    groups = (group,) if group else ()
                    yield Part(kind=Kind.ALARM, id=name, name=name, release=tags[RELEASE], groups=groups)


def _filters(owner: Owner) -> list[dict[str, Any]]:
    released = {"Name": "tag-key", "Values": [RELEASE]}
    return [*({"Name": f"tag:{key}", "Values": [value]} for key, value in owner.tags.items()), released]


def _tags(answer: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag.get("Value", "") for tag in answer.get("Tags", [])}


def _is_of(owner: Owner, tags: Mapping[str, str]) -> bool:
    return owner.tags.items() <= tags.items() and RELEASE in tags
