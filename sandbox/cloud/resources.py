"""What IAM wants to know of an account's resources, from moto's tables: tags, and what launch templates launch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moto.acm.models import acm_backends
from moto.autoscaling.models import autoscaling_backends
from moto.cloudwatch.models import cloudwatch_backends
from moto.ec2.models import ec2_backends
from moto.elbv2.models import elbv2_backends
from moto.iam.models import iam_backends
from moto.kms.models import kms_backends
from moto.logs.models import logs_backends
from moto.ssm.models import ssm_backends

from sandbox.iam.questions import Launch


class Resources:
    """Of one region of one account."""

    def __init__(self, account: str, region: str) -> None:
        self._account = account
        self._region = region

    def tags(self, arn: str) -> Mapping[str, str]:
        if arn.endswith("*"):
            return {}
        _, _, service, _, _, resource = arn.split(":", 5)
        kind, _, name = resource.partition("/")
        match service:
            case "ec2":
                found = self._ec2.describe_tags({"resource-id": [name]})
                return {each["key"]: each["value"] for each in found}
            case "elasticloadbalancing":
                tagging = elbv2_backends[self._account][self._region].tagging_service
                return dict(tagging.get_tag_dict_for_resource(arn))
            case "autoscaling":
                groups = autoscaling_backends[self._account][self._region].autoscaling_groups
                group = groups.get(resource.rpartition("autoScalingGroupName/")[2])
                return {each["Key"]: each["Value"] for each in group.tags} if group else {}
            case "cloudwatch":
                return dict(cloudwatch_backends[self._account][self._region].tagger.get_tag_dict_for_resource(arn))
            case "acm":
                certificate = acm_backends[self._account][self._region]._certificates.get(arn)
                return {key: value or "" for key, value in certificate.tags.items()} if certificate else {}
            case "kms":
                return dict(kms_backends[self._account][self._region].tagger.get_tag_dict_for_resource(name))
            case "logs":
                return dict(logs_backends[self._account][self._region].tagger.get_tag_dict_for_resource(arn))
            case "ssm":
                return self._of_parameter(name)
            case "iam":
                return self._of_iam(kind, name)
            case _:
                return {}

    def part_of(self, identifier: str) -> Sequence[str]:
        if identifier.startswith("rtbassoc-"):
            for table in self._ec2.route_tables.values():
                for each in table.associations:
                    if each["RouteTableAssociationId"] == identifier:
                        subnet = each.get("SubnetId")
                        ours = [f"route-table/{table.id}", *([f"subnet/{subnet}"] if subnet else [])]
                        return [self._arn(resource) for resource in ours]
        if identifier.startswith("eipassoc-"):
            found = [each for each in self._ec2.addresses if each.association_id == identifier]
            return [self._arn(f"elastic-ip/{each.allocation_id}") for each in found]
        return ()

    def launch(self, template: Mapping[str, Any]) -> Launch:
        parameters = dict(template)
        if "LaunchTemplate" in parameters:
            parameters = {**self._template(parameters["LaunchTemplate"]), **parameters}
        elif "LaunchTemplateId" in parameters or "LaunchTemplateName" in parameters:
            parameters = self._template(parameters)
        profile = parameters.get("IamInstanceProfile") or {}
        name = profile.get("Name") or str(profile.get("Arn", "")).rpartition("/")[2]
        found = iam_backends[self._account]["aws"].instance_profiles.values()
        roles = [role.arn for each in found if each.name == name for role in each.roles]
        return Launch(parameters=parameters, profile_role=roles[0] if roles else "")

    def _template(self, named: Mapping[str, Any]) -> dict[str, Any]:
        backend = self._ec2
        identifier = named.get("LaunchTemplateId") or backend.launch_template_name_to_ids.get(
            named.get("LaunchTemplateName", "")
        )
        found = backend.launch_templates.get(identifier)
        return dict(found.get_version(named.get("Version", "$Default")).data) if found else {}

    def _of_parameter(self, name: str) -> dict[str, str]:
        backend = ssm_backends[self._account][self._region]
        for each in (f"/{name}", name):
            if found := backend._resource_tags["Parameter"].get(each):
                return dict(found)
        return {}

    def _of_iam(self, kind: str, name: str) -> dict[str, str]:
        backend = iam_backends[self._account]["aws"]
        tables: dict[str, Any] = {"role": backend.roles, "instance-profile": backend.instance_profiles}
        for each in tables.get(kind, {}).values():
            if each.name == name.rpartition("/")[2]:
                return {tag["Key"]: tag["Value"] for tag in each.tags or ()}
        return {}

    def _arn(self, resource: str) -> str:
        return f"arn:aws:ec2:{self._region}:{self._account}:{resource}"

    @property
    def _ec2(self) -> Any:
        return ec2_backends[self._account][self._region]
