"""What machines are launched from, what they may have, and what they say."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError, EndpointConnectionError

from bluegreen.aws.observe.asking import Asking
from bluegreen.aws.session import in_our_words, is_fault
from bluegreen.model.consul import JOIN, joined_by
from bluegreen.model.observation import (
    ConsulServer,
    Image,
    InstanceType,
    Machine,
)
from bluegreen.model.tags import Owner


class Machines(Asking):
    """Questions about machines."""

    @in_our_words
    def image(self, image: str) -> Image | None:
        """An AMI; None where it does not exist or may not be seen. One call."""
        try:
            images = self._session.client("ec2").describe_images(ImageIds=[image])["Images"]
        except ClientError as error:
            if is_fault(error, "InvalidAMIID.NotFound", "InvalidAMIID.Unavailable", "InvalidAMIID.Malformed"):
                return None
            raise
        for each in images:
            return Image(
                id=each["ImageId"],
                state=each["State"],
                architecture=each.get("Architecture", ""),
                root_device=each.get("RootDeviceName", ""),
                tags={tag["Key"]: tag["Value"] for tag in each.get("Tags", [])},
            )
        return None

    @in_our_words
    def instance_type(self, name: str) -> InstanceType | None:
        """An instance type; None where the region has none of that name. One call."""
        try:
            types = self._session.client("ec2").describe_instance_types(InstanceTypes=[name])["InstanceTypes"]
        except ClientError as error:
            if is_fault(error, "InvalidInstanceType"):
                return None
            raise
        for each in types:
            return InstanceType(
                name=each["InstanceType"],
                architectures=tuple(each.get("ProcessorInfo", {}).get("SupportedArchitectures", [])),
                vcpus=each.get("VCpuInfo", {}).get("DefaultVCpus"),
            )
        return None

    @in_our_words
    def has_key_pair(self, name: str) -> bool:
        """Whether the region has a key pair of that name. One call."""
        try:
            pairs = self._session.client("ec2").describe_key_pairs(KeyNames=[name])["KeyPairs"]
        except ClientError as error:
            if is_fault(error, "InvalidKeyPair.NotFound"):
                return False
            raise
        return bool(pairs)

    @in_our_words
    def has_instance_profile(self, name: str) -> bool:
        """Whether the account has an instance profile of that name. One call."""
        try:
            self._session.client("iam").get_instance_profile(InstanceProfileName=name)
        except ClientError as error:
            if is_fault(error, "NoSuchEntity"):
                return False
            raise
        return True

    @in_our_words
    def vcpu_quota(self, code: str) -> int | None:
        """The account's EC2 quota of that code in this region; None where Service Quotas does not say. One call."""
        try:
            quotas = self._session.client("service-quotas")
            answer = quotas.get_service_quota(ServiceCode="ec2", QuotaCode=code)
        except EndpointConnectionError:  # not every region has the service
            return None
        except ClientError as error:
            if is_fault(error, "NoSuchResourceException"):
                return None
            raise
        return int(answer["Quota"]["Value"])

    @in_our_words
    def on_demand_machines(self) -> tuple[Machine, ...]:
        """Every instance of the region that counts against a quota of on-demand vCPUs. One call for each page.

        Those that stop or end no longer count, and spot instances have quotas of their own (EC2 User Guide,
        "On-Demand Instance quotas").
        """
        running = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
        pages = self._session.client("ec2").get_paginator("describe_instances").paginate(Filters=running)
        return tuple(
            Machine(instance_type=each["InstanceType"], vcpus=_vcpus(each.get("CpuOptions", {})))
            for page in pages
            for reservation in page["Reservations"]
            for each in reservation["Instances"]
            if each.get("InstanceLifecycle") != "spot"
        )

    @in_our_words
    def console_output(self, instance: str) -> str:
        """What a machine has written to its console, as far as EC2 has it; empty where it has nothing. One call."""
        ec2 = self._session.client("ec2")
        try:
            try:
                answer = ec2.get_console_output(InstanceId=instance, Latest=True)
            except ClientError as error:
                if not is_fault(error, "UnsupportedOperation"):  # only Nitro types have the latest
                    raise
                answer = ec2.get_console_output(InstanceId=instance)
        except ClientError as error:
            if is_fault(error, "InvalidInstanceID.NotFound"):
                return ""
            raise
        return str(answer.get("Output", ""))  # botocore has decoded it

    @in_our_words
    def consul_servers(self, owner: Owner) -> tuple[ConsulServer, ...]:
        """Those of a stack's cluster that run or start. One call."""
        filters = {f"tag:{JOIN}": [joined_by(owner)], "instance-state-name": ["pending", "running"]}
        found = self._session.client("ec2").describe_instances(
            Filters=[{"Name": name, "Values": values} for name, values in filters.items()]
        )
        return tuple(
            ConsulServer(
                image=each["ImageId"],
                instance_type=each["InstanceType"],
                tags={tag["Key"]: tag["Value"] for tag in each["Tags"] if not tag["Key"].startswith("aws:")},
            )
            for reservation in found["Reservations"]
            for each in reservation["Instances"]
        )


def _vcpus(options: dict[str, Any]) -> int | None:
    try:
        return int(options["CoreCount"] * options["ThreadsPerCore"])
    except KeyError:
        return None
