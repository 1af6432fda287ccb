"""EBS volumes that outlive instances, and what attaches one to an instance."""

from __future__ import annotations

import zlib
from typing import Any, Final

from botocore.exceptions import ClientError

from sandbox.provider.aws import MINUTE, Aws, OperationFailed, absent, code_of, doing, first, without_none
from sandbox.provider.resources.ec2 import describe, retag
from sandbox.provider.table import TAGS, ResourceType, arn, boolean, integer, names, output, text
from sandbox.provider.wire import Props

_GONE: Final = "InvalidVolume.NotFound"
_IN_PLACE: Final = {"iops": "Iops", "size": "Size", "throughput": "Throughput", "type": "VolumeType"}
_DEVICE, _INSTANCE, _VOLUME = "deviceName", "instanceId", "volumeId"


def _create(aws: Aws, news: Props) -> str:
    with doing(aws.ec2, "creating EBS Volume"):
        made = aws.ec2.create_volume(
            AvailabilityZone=news["availabilityZone"],
            **without_none(Encrypted=news.get("encrypted"), KmsKeyId=news.get("kmsKeyId")),
            **{asked: news[name] for name, asked in _IN_PLACE.items() if news.get(name)},
            TagSpecifications=aws.tag_specifications("volume", news),
        )
    return str(made["VolumeId"])


def _volume(aws: Aws, volume: str) -> Any:
    found = first(describe(aws.ec2.describe_volumes, _GONE, VolumeIds=[volume]))
    return None if not found or found["State"] == "deleted" else found


def _settle(aws: Aws, volume: str, news: Props) -> None:
    def state() -> str:
        return str((_volume(aws, volume) or {"State": "deleted"})["State"])

    what = f"EBS Volume ({volume}) create"
    with doing(aws.ec2, f"waiting for {what}"):
        aws.wait(what, "available", state, timeout=aws.timeout(5 * MINUTE), failing=("deleted", "error"))


def _read(aws: Aws, volume: str, known: Props) -> Props | None:
    with doing(aws.ec2, f"reading EBS Volume ({volume})"):
        found = _volume(aws, volume)
        if found is None:
            return None
        account = known["arn"].split(":")[4] if "arn" in known else aws.clients.account()
    return {
        "arn": aws.arn("ec2", account, f"volume/{volume}"),
        "availabilityZone": found["AvailabilityZone"],
        "createTime": found["CreateTime"].strftime("%Y-%m-%dT%H:%M:%SZ"),
        "encrypted": found["Encrypted"],
        "kmsKeyId": found.get("KmsKeyId"),
        **{name: found.get(asked) for name, asked in _IN_PLACE.items()},
        **aws.tag_state(found.get("Tags", [])),
    }


def _update(aws: Aws, volume: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
    if not changed & _IN_PLACE.keys():
        return
    asked = {_IN_PLACE[name]: news[name] for name in changed & _IN_PLACE.keys() if news.get(name)}
    if news.get("throughput") and news.get("type") == "gp3":
        asked["Throughput"] = news["throughput"]
    with doing(aws.ec2, f"modifying EBS Volume ({volume})"):
        aws.ec2.modify_volume(VolumeId=volume, **asked)

        def state() -> str:
            return str(aws.ec2.describe_volumes_modifications(VolumeIds=[volume])["VolumesModifications"][-1][key])

        key, what = "ModificationState", f"EBS Volume ({volume}) update"
        aws.wait(what, "completed", state, timeout=aws.timeout(5 * MINUTE), failing=("failed",))


def _delete(aws: Aws, volume: str, olds: Props) -> None:
    with doing(aws.ec2, f"deleting EBS Volume ({volume})"), absent(_GONE):
        delete = lambda: aws.ec2.delete_volume(VolumeId=volume)  # noqa: E731
        aws.retry(f"EBS Volume ({volume}) delete", ("VolumeInUse",), delete, timeout=aws.timeout(10 * MINUTE))


def _iops_fit(inputs: Props) -> tuple[str, str] | None:
    kind = inputs.get("type") or "gp2"
    if kind in ("io1", "io2") and not inputs.get("iops"):
        return "iops", f"'iops' must be set when 'type' is '{kind}'"
    if kind not in ("io1", "io2", "gp3") and inputs.get("iops"):
        return "iops", f"'iops' must not be set when 'type' is '{kind}'"
    if kind != "gp3" and inputs.get("throughput"):
        return "throughput", f"'throughput' must not be set when 'type' is '{kind}'"
    return None


VOLUME = ResourceType(
    token="aws:ebs/volume:Volume",
    properties={
        "availabilityZone": text(required=True, replaces=True),
        "encrypted": boolean(computed=True, replaces=True),
        "finalSnapshot": boolean(default=False, only=(False,)),
        "iops": integer(computed=True),
        "kmsKeyId": arn(computed=True, replaces=True),
        "size": integer(required=True),
        "throughput": integer(computed=True, at_least=125, at_most=1000),
        "type": text(computed=True),
        "arn": output(),
        "createTime": output(),
        **TAGS,
    },
    refused=names("multiAttachEnabled outpostArn snapshotId volumeInitializationRate"),
    rules=(_iops_fit,),
    create=_create,
    settle=_settle,
    read=_read,
    update=_update,
    delete=_delete,
    retag=retag,
)


def _attachment_id(device: str, volume: str, instance: str) -> str:
    return f"vai-{zlib.crc32(f'{device}-{instance}-{volume}-'.encode())}"


def _attach(aws: Aws, news: Props) -> str:
    device, instance, volume = news[_DEVICE], news[_INSTANCE], news[_VOLUME]
    if _attachment(aws, news) is None:
        _wait_for_instance(aws, instance, "to be ready", "running", "stopped")
        with doing(aws.ec2, f"attaching EBS Volume ({volume}) to EC2 Instance ({instance})"):
            aws.ec2.attach_volume(Device=device, InstanceId=instance, VolumeId=volume)
    return _attachment_id(device, volume, instance)


def _wait_for_instance(aws: Aws, instance: str, what: str, *wanted: str) -> None:
    def state() -> str:
        reservation = first(describe(aws.ec2.describe_instances, "InvalidInstanceID.NotFound", InstanceIds=[instance]))
        found = str(reservation["Instances"][0]["State"]["Name"]) if reservation else "terminated"
        return wanted[0] if found in wanted else found

    what = f"EC2 Instance ({instance}) {what}"
    with doing(aws.ec2, f"waiting for {what}"):
        aws.wait(what, wanted[0], state, timeout=10 * MINUTE, failing=("terminated",))


def _attachment(aws: Aws, known: Props) -> Any:
    volume, instance = known[_VOLUME], known[_INSTANCE]
    with doing(aws.ec2, f"reading EBS Volume ({volume}) Attachment ({instance})"):
        found = (_volume(aws, volume) or {}).get("Attachments", [])
    same = [it for it in found if (it["InstanceId"], it["Device"]) == (instance, known[_DEVICE])]
    return next((it for it in same if it["State"] != "detached"), None)


def _state_of(aws: Aws, known: Props) -> str:
    return str((_attachment(aws, known) or {"State": "detached"})["State"])


def _settle_attachment(aws: Aws, identifier: str, news: Props) -> None:
    what = f"EBS Volume ({news[_VOLUME]}) Attachment ({news[_INSTANCE]}) create"
    aws.wait(what, "attached", lambda: _state_of(aws, news), timeout=aws.timeout(5 * MINUTE))


def _read_attachment(aws: Aws, identifier: str, known: Props) -> Props | None:
    found = _attachment(aws, known)
    return found and {_DEVICE: found["Device"], _INSTANCE: found["InstanceId"], _VOLUME: found["VolumeId"]}


def _detach(aws: Aws, identifier: str, olds: Props) -> None:
    device, instance, volume = olds[_DEVICE], olds[_INSTANCE], olds[_VOLUME]
    if olds.get("skipDestroy") or _attachment(aws, olds) is None:
        return
    what = f"EBS Volume ({volume}) Attachment ({instance})"
    with doing(aws.ec2, f"deleting {what}"):
        if olds.get("stopInstanceBeforeDetaching"):
            aws.ec2.stop_instances(InstanceIds=[instance])
            _wait_for_instance(aws, instance, "stop", "stopped")
        try:
            aws.ec2.detach_volume(
                Device=device, Force=bool(olds.get("forceDetach")), InstanceId=instance, VolumeId=volume
            )
        except ClientError as error:
            if code_of(error) != "IncorrectState" or "available" not in str(error):
                raise
        wait = aws.timeout(5 * MINUTE)
        aws.wait(f"{what} delete", "detached", lambda: _state_of(aws, olds), timeout=wait)


def _locate(aws: Aws, given: str) -> tuple[str, Props]:
    parts = given.split(":")
    if len(parts) != 3 or not all(parts):
        raise OperationFailed(f'Unexpected format of ID ("{given}"), expected DEVICE_NAME:VOLUME_ID:INSTANCE_ID')
    device, volume, instance = parts
    return _attachment_id(device, volume, instance), {_DEVICE: device, _INSTANCE: instance, _VOLUME: volume}


ATTACHMENT = ResourceType(
    token="aws:ec2/volumeAttachment:VolumeAttachment",
    properties={
        _DEVICE: text(required=True, replaces=True),
        _INSTANCE: text(required=True, replaces=True),
        _VOLUME: text(required=True, replaces=True),
        "forceDetach": boolean(),
        "skipDestroy": boolean(),
        "stopInstanceBeforeDetaching": boolean(),
    },
    create=_attach,
    settle=_settle_attachment,
    read=_read_attachment,
    delete=_detach,
    locate=_locate,
)
