"""Volumes and network interfaces that outlive instances: where they may go, who has them, and when they are free again.

Sources: EC2's API reference (AttachVolume, ModifyVolume, CreateNetworkInterface, DeleteNetworkInterface) and its "Error
codes"; EC2's user guide, "Elastic network interfaces". AWS's words as users quote them: pulumi/pulumi-aws#2394.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.elastic_block_store import EBSBackend
from moto.ec2.models.elastic_network_interfaces import NetworkInterface, NetworkInterfaceBackend
from moto.ec2.models.instances import Instance, InstanceBackend
from moto.ec2.responses.elastic_block_store import ElasticBlockStore
from moto.ec2.responses.elastic_network_interfaces import ElasticNetworkInterfaces

from sandbox.cloud.moto_gaps.gap import Gap, replace
from sandbox.cloud.volumes import VolumeError

if TYPE_CHECKING:
    from sandbox.cloud.cloud import Cloud

GAPS = (
    Gap("volumes-elsewhere", "attaches a volume to an instance in another zone"),
    Gap("volumes-in-use", "attaches a volume that is attached already"),
    Gap("devices-in-use", "attaches two volumes as one device"),
    Gap("detached-volumes", "detaches no volume without its instance's id"),
    Gap("smaller-volumes", "makes a volume smaller"),
    Gap("interfaces-in-use", "launches an instance with a network interface that another has"),
    Gap("interfaces-zone", "takes an instance that is launched with a network interface to be in the first zone"),
    Gap("interfaces-left", "leaves a network interface with an instance that is terminated"),
    Gap("interfaces-of-launches", "keeps the network interface that it made for an instance after its termination"),
    Gap("attached-interfaces", "deletes a network interface that an instance has"),
    Gap("interface-addresses", "gives a network interface an address that another has, or that its subnet has not"),
)


def fill(cloud: Cloud) -> None:
    _volumes(cloud)
    _interfaces()
    _launches(cloud)


def _volumes(cloud: Cloud) -> None:
    attach, detach = ElasticBlockStore.attach_volume, EBSBackend.detach_volume
    delete, modify = EBSBackend.delete_volume, EBSBackend.modify_volume

    @replace(ElasticBlockStore, "attach_volume")
    def attach_to_its_like(self: ElasticBlockStore) -> ActionResult:
        volume = self.ec2_backend.get_volume(self._get_param("VolumeId"))
        instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
        device = self._get_param("Device")
        if volume.attachment:
            raise EC2ClientError("VolumeInUse", f"{volume.id} is already attached to an instance")
        if volume.availability_zone != instance.availability_zone:
            raise EC2ClientError(
                "InvalidVolume.ZoneMismatch",
                f"The volume '{volume.id}' is not in the same availability zone as instance '{instance.id}'",
            )
        if instance.state not in ("running", "stopped"):
            raise EC2ClientError("IncorrectState", f"Instance '{instance.id}' is not 'running'.")
        if device in instance.block_device_mapping:
            raise EC2ClientError(
                "InvalidParameterValue",
                f"Invalid value '{device}' for unixDevice. Attachment point {device} is already in use",
            )
        try:
            tags = {tag["key"]: tag["value"] for tag in volume.get_tags()}
            cloud.volumes.attach(volume.id, cloud.machines.tree(instance.id), device, tags)
        except VolumeError as refusal:
            raise EC2ClientError("UnsupportedOperation", str(refusal)) from None
        return attach(self)

    @replace(EBSBackend, "detach_volume")
    def detach_with_files(self: EBSBackend, volume_id: str, instance_id: str | None, device_path: str) -> Any:
        if instance_id is None and (attachment := self.get_volume(volume_id).attachment):
            instance_id = attachment.instance.id
        detached = detach(self, volume_id, instance_id or "", device_path)
        cloud.volumes.detach(volume_id)
        return detached

    @replace(EBSBackend, "delete_volume")
    def delete_with_files(self: EBSBackend, volume_id: str) -> Any:
        deleted = delete(self, volume_id)
        cloud.volumes.delete(volume_id)
        return deleted

    @replace(EBSBackend, "modify_volume")
    def modify_upwards(self: EBSBackend, volume_id: str, target_size: int | None = None, *args: Any) -> Any:
        if target_size and int(target_size) < self.get_volume(volume_id).size:
            raise EC2ClientError("InvalidParameterValue", "New size cannot be smaller than existing size")
        return modify(self, volume_id, target_size and int(target_size), *args)


def _interfaces() -> None:
    create, delete = ElasticNetworkInterfaces.create_network_interface, NetworkInterfaceBackend.delete_network_interface

    @replace(ElasticNetworkInterfaces, "create_network_interface")
    def create_with_free_address(self: ElasticNetworkInterfaces) -> ActionResult:
        subnet = self.ec2_backend.get_subnet(self._get_param("SubnetId"))
        listed = [each["PrivateIpAddress"] for each in self._get_param("PrivateIpAddresses", [])]
        for address in [self._get_param("PrivateIpAddress"), *listed]:
            if address:
                _check_address(self.ec2_backend, subnet, address)
        before = set(self.ec2_backend.enis)
        answer = create(self)
        for made in self.ec2_backend.enis.keys() - before:
            self.ec2_backend.enis[made].is_on_its_own = True
        return answer

    @replace(NetworkInterfaceBackend, "delete_network_interface")
    def delete_free(self: NetworkInterfaceBackend, eni_id: str) -> None:
        found = self.enis.get(eni_id)
        if found and found.instance:
            raise EC2ClientError("InvalidParameterValue", f"Network interface '{eni_id}' is currently in use.")
        delete(self, eni_id)


def _check_address(backend: Any, subnet: Any, address: str) -> None:
    network = ip_network(subnet.cidr_block)
    if ip_address(address) not in network:
        raise EC2ClientError(
            "InvalidParameterValue",
            f"Address {address} does not fall within the subnet's address range",
        )
    if ip_address(address) in (*(network[at] for at in range(4)), network[-1]):
        raise EC2ClientError("InvalidParameterValue", f"Address {address} is in subnet's reserved address range")
    if address in subnet._subnet_ips or any(
        it.private_ip_address == address and it.subnet is subnet for it in backend.enis.values()
    ):
        raise EC2ClientError("InvalidIPAddress.InUse", f"Address {address} is in use.")


def on_their_own(backend: Any) -> list[NetworkInterface]:
    """Network interfaces that were asked for by themselves, and stay until they are deleted."""
    return [each for each in backend.enis.values() if getattr(each, "is_on_its_own", False)]


def _launches(cloud: Cloud) -> None:
    run_instances, terminate = InstanceBackend.run_instances, Instance.terminate

    @replace(InstanceBackend, "run_instances")
    def launch_with_interfaces(self: Any, *args: Any, **kwargs: Any) -> Any:
        given = [it for it in kwargs.get("nics") or [] if it.get("NetworkInterfaceId")]
        for spec in given:
            interface = self.get_network_interface(spec["NetworkInterfaceId"])
            if interface.instance:
                raise EC2ClientError("InvalidNetworkInterface.InUse", f"Interface: [{interface.id}] in use.")
            spec["SubnetId"] = interface.subnet.id  # moto takes the zone from here
        reservation = run_instances(self, *args, **kwargs)
        ids = {spec["NetworkInterfaceId"] for spec in given}
        for instance in reservation.instances:
            for interface in instance.nics.values():
                interface.delete_on_termination = interface.id not in ids
            if given:
                _give_address(cloud, instance)
        return reservation

    @replace(Instance, "terminate")
    def terminate_and_let_go(self: Instance) -> Any:
        for interface in self.nics.values():
            interface.instance = interface.attachment_id = interface.attach_time = None
            interface.status = "available"
        before = terminate(self)
        for interface in self.nics.values():
            interface.delete_on_termination = False  # done
        return before


def _give_address(cloud: Cloud, instance: Instance) -> None:
    """The machine has the address of its network interface, and no other."""
    primary: NetworkInterface = instance.nics[0]
    for address in instance._private_ips:
        primary.subnet.del_subnet_ip(address)
    instance._private_ips.clear()
    cloud.machines.settle(instance.id, primary.id)
