"""moto puts the tags of the template itself among those that the template gives to what it launches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.ec2.models.launch_templates import LaunchTemplateBackend

from sandbox.cloud.moto_gaps.gap import replace

if TYPE_CHECKING:
    from sandbox.cloud.cloud import Cloud


def fill(cloud: Cloud) -> None:
    create = LaunchTemplateBackend.create_launch_template

    @replace(LaunchTemplateBackend, "create_launch_template")
    def create_launch_template(self: Any, name: str, description: str, data: dict[str, Any], *args: Any) -> Any:
        specifications = data.get("TagSpecifications") or []
        kept = [each for each in specifications if each["ResourceType"] != "launch-template"]
        rest = {key: value for key, value in data.items() if key != "TagSpecifications"}
        return create(self, name, description, rest | ({"TagSpecifications": kept} if kept else {}), *args)
