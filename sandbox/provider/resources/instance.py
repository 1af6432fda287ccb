"""EC2 instances with one network interface and one volume of their own."""

from __future__ import annotations

import base64
from typing import Any, Final

from sandbox.provider.aws import MINUTE, Aws, absent, doing, first, without_none
from sandbox.provider.resources.ec2 import describe, retag
from sandbox.provider.table import TAGS, Kind, ResourceType, block, boolean, integer, names, output, text, text_set
from sandbox.provider.wire import Props

_GONE: Final = "InvalidInstanceID.NotFound"
_ROOT: Final = {"encrypted": "Encrypted", "volumeType": "VolumeType", "volumeSize": "VolumeSize"}
_METADATA: Final = {
    "httpEndpoint": "HttpEndpoint",
    "httpTokens": "HttpTokens",
    "httpPutResponseHopLimit": "HttpPutResponseHopLimit",
}


def _create(aws: Aws, news: Props) -> str:
    with doing(aws.ec2, "creating EC2 Instance"):
        image = aws.ec2.describe_images(ImageIds=[news["ami"]])["Images"][0]
        root = news.get("rootBlockDevice", {})
        metadata = news.get("metadataOptions", {})
        disk = {asked: root[name] for name, asked in _ROOT.items() if name in root}
        device = {"DeviceName": image.get("RootDeviceName", "/dev/xvda"), "Ebs": {"DeleteOnTermination": True, **disk}}
        interface = without_none(
            DeviceIndex=0,
            SubnetId=news.get("subnetId"),
            Groups=news.get("vpcSecurityGroupIds"),
            AssociatePublicIpAddress=news.get("associatePublicIpAddress"),
            NetworkInterfaceId=news.get("primaryNetworkInterface", {}).get("networkInterfaceId"),
        )
        profile = news.get("iamInstanceProfile")
        made = aws.ec2.run_instances(
            ImageId=news["ami"],
            InstanceType=news["instanceType"],
            MinCount=1,
            MaxCount=1,
            NetworkInterfaces=[interface],
            **without_none(UserData=news.get("userData"), KeyName=news.get("keyName")),
            **({"IamInstanceProfile": {"Name": profile}} if profile else {}),
            **({"BlockDeviceMappings": [device]} if disk else {}),
            **({"MetadataOptions": {_METADATA[name]: value for name, value in metadata.items()}} if metadata else {}),
            TagSpecifications=aws.tag_specifications("instance", news),
        )
    return str(made["Instances"][0]["InstanceId"])


def _instance(aws: Aws, instance: str) -> Any:
    reservation = first(describe(aws.ec2.describe_instances, _GONE, InstanceIds=[instance]))
    found = reservation and reservation["Instances"][0]
    return None if not found or found["State"]["Name"] == "terminated" else found


def _wait(aws: Aws, instance: str, what: str, wanted: str, minutes: float, *failing: str) -> None:
    def state() -> str:
        return str((_instance(aws, instance) or {"State": {"Name": "terminated"}})["State"]["Name"])

    with doing(aws.ec2, f"waiting for EC2 Instance ({instance}) {what}"):
        aws.wait(
            f"EC2 Instance ({instance}) {what}", wanted, state, timeout=aws.timeout(minutes * MINUTE), failing=failing
        )


def _settle(aws: Aws, instance: str, news: Props) -> None:
    _wait(aws, instance, "create", "running", 10, "terminated", "shutting-down")
    if not news["sourceDestCheck"]:
        _modify(aws, instance, SourceDestCheck={"Value": False})


def _modify(aws: Aws, instance: str, **attribute: Any) -> None:
    with doing(aws.ec2, f"modifying EC2 Instance ({instance}) {', '.join(attribute)}"):
        aws.ec2.modify_instance_attribute(InstanceId=instance, **attribute)


def _read(aws: Aws, instance: str, known: Props) -> Props | None:
    with doing(aws.ec2, f"reading EC2 Instance ({instance})"):
        found = _instance(aws, instance)
        if found is None:
            return None
        data = known.get("userData")
        if not aws.has_just_written:
            told = aws.ec2.describe_instance_attribute(InstanceId=instance, Attribute="userData")["UserData"]
            data = base64.b64decode(told["Value"]).decode() if told.get("Value") else None
        account = known["arn"].split(":")[4] if "arn" in known else aws.clients.account()
    interface = first(found["NetworkInterfaces"]) or {}
    options = found.get("MetadataOptions", {})
    return {
        "arn": aws.arn("ec2", account, f"instance/{instance}"),
        "ami": found["ImageId"],
        "instanceType": found["InstanceType"],
        "instanceState": found["State"]["Name"],
        "subnetId": found["SubnetId"],
        "keyName": found.get("KeyName"),
        "iamInstanceProfile": found.get("IamInstanceProfile", {}).get("Arn", "").rpartition("/")[2] or None,
        "primaryNetworkInterface": interface
        and {
            "networkInterfaceId": interface["NetworkInterfaceId"],
            "deleteOnTermination": interface["Attachment"]["DeleteOnTermination"],
        },
        "vpcSecurityGroupIds": [group["GroupId"] for group in interface.get("Groups", [])],
        "associatePublicIpAddress": bool(found.get("PublicIpAddress")),
        "sourceDestCheck": found.get("SourceDestCheck", True),
        "primaryNetworkInterfaceId": interface.get("NetworkInterfaceId"),
        "privateDns": found.get("PrivateDnsName"),
        "publicDns": found.get("PublicDnsName"),
        "publicIp": found.get("PublicIpAddress"),
        "userData": data,
        "metadataOptions": {
            name: options.get(asked, known.get("metadataOptions", {}).get(name)) for name, asked in _METADATA.items()
        },
        **aws.tag_state(found.get("Tags", [])),
    }


def _update(aws: Aws, instance: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
    if "vpcSecurityGroupIds" in changed:
        _modify(aws, instance, Groups=news["vpcSecurityGroupIds"])
    if "sourceDestCheck" in changed:
        _modify(aws, instance, SourceDestCheck={"Value": news["sourceDestCheck"]})
    if "iamInstanceProfile" in changed:
        _give_profile(aws, instance, news["iamInstanceProfile"])
    if "metadataOptions" in changed:
        asked = {_METADATA[name]: value for name, value in news["metadataOptions"].items()}
        with doing(aws.ec2, f"updating EC2 Instance ({instance}) metadata options"):
            aws.ec2.modify_instance_metadata_options(InstanceId=instance, **asked)
    if changed & {"instanceType", "userData"}:
        with doing(aws.ec2, f"stopping EC2 Instance ({instance})"):
            aws.ec2.stop_instances(InstanceIds=[instance])
        _wait(aws, instance, "stop", "stopped", 10)
        if "instanceType" in changed:
            _modify(aws, instance, InstanceType={"Value": news["instanceType"]})
        if "userData" in changed:
            _modify(aws, instance, UserData={"Value": news["userData"].encode()})
        with doing(aws.ec2, f"starting EC2 Instance ({instance})"):
            aws.ec2.start_instances(InstanceIds=[instance])
        _wait(aws, instance, "start", "running", 10, "terminated")


def _give_profile(aws: Aws, instance: str, profile: str) -> None:
    with doing(aws.ec2, f"updating EC2 Instance ({instance}) IAM instance profile"):
        which = [{"Name": "instance-id", "Values": [instance]}]
        found = aws.ec2.describe_iam_instance_profile_associations(Filters=which)["IamInstanceProfileAssociations"]
        if found:
            aws.ec2.replace_iam_instance_profile_association(
                IamInstanceProfile={"Name": profile}, AssociationId=found[0]["AssociationId"]
            )
        else:
            aws.ec2.associate_iam_instance_profile(IamInstanceProfile={"Name": profile}, InstanceId=instance)


def _delete(aws: Aws, instance: str, olds: Props) -> None:
    with doing(aws.ec2, f"terminating EC2 Instance ({instance})"), absent(_GONE):
        aws.ec2.terminate_instances(InstanceIds=[instance])
        _wait(aws, instance, "delete", "terminated", 20)


def _user_data_replaces(state: Props, inputs: Props) -> frozenset[str]:
    return frozenset({"userData"}) if inputs.get("userDataReplaceOnChange", True) else frozenset()


def _is_somewhere(inputs: Props) -> tuple[str, str] | None:
    if "subnetId" in inputs or "primaryNetworkInterface" in inputs:
        return None
    return "subnetId", "the sandbox has no default VPC: give subnetId or primaryNetworkInterface"


INSTANCE = ResourceType(
    token="aws:ec2/instance:Instance",
    properties={
        "ami": text(required=True, replaces=True),
        "instanceType": text(required=True),
        "subnetId": text(computed=True, replaces=True),
        "primaryNetworkInterface": block(
            {
                "networkInterfaceId": text(required=True, replaces=True),
                "deleteOnTermination": output(Kind.BOOLEAN),
            },
            computed=True,
            replaces=True,
            conflicts_with=("associatePublicIpAddress", "subnetId", "vpcSecurityGroupIds"),
        ),
        "keyName": text(computed=True, replaces=True),
        "iamInstanceProfile": text(computed=True),
        "vpcSecurityGroupIds": text_set(computed=True),
        "associatePublicIpAddress": boolean(computed=True, replaces=True),
        "sourceDestCheck": boolean(default=True),
        "userData": text(computed=True),
        "userDataReplaceOnChange": boolean(default=False),
        "metadataOptions": block(
            {
                "httpEndpoint": text(computed=True, choices=("disabled", "enabled")),
                "httpTokens": text(computed=True, choices=("optional", "required")),
                "httpPutResponseHopLimit": integer(computed=True, at_least=1, at_most=64),
            },
            refused="httpProtocolIpv6 instanceMetadataTags",
            computed=True,
        ),
        "rootBlockDevice": block(
            {
                "deleteOnTermination": boolean(default=True, only=(True,)),
                "encrypted": boolean(computed=True, replaces=True),
                "volumeSize": integer(computed=True),
                "volumeType": text(
                    computed=True, choices=("gp2", "gp3", "io1", "io2", "sc1", "st1", "standard"), only=("gp2", "gp3")
                ),
            },
            refused="deviceName iops kmsKeyId tags tagsAll throughput volumeId",
            computed=True,
        ),
        "arn": output(),
        "instanceState": output(),
        "primaryNetworkInterfaceId": output(),
        "privateDns": output(),
        "publicDns": output(),
        "publicIp": output(),
        **TAGS,
    },
    refused=names(
        "availabilityZone capacityReservationSpecification cpuOptions creditSpecification disableApiStop "
        "disableApiTermination ebsBlockDevices ebsOptimized enablePrimaryIpv6 enclaveOptions ephemeralBlockDevices "
        "forceDestroy getPasswordData hibernation hostId hostResourceGroupArn "
        "instanceInitiatedShutdownBehavior instanceMarketOptions ipv6AddressCount ipv6Addresses launchTemplate "
        "maintenanceOptions monitoring networkInterfaces placementGroup placementGroupId placementPartitionNumber "
        "privateDnsNameOptions privateIp secondaryNetworkInterfaces secondaryPrivateIps "
        "securityGroups tenancy userDataBase64 volumeTags"
    ),
    rules=(_is_somewhere,),
    create=_create,
    settle=_settle,
    read=_read,
    update=_update,
    delete=_delete,
    retag=retag,
    also_replaces=_user_data_replaces,
)
