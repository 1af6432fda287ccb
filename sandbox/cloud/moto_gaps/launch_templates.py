"""Launch templates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult
from moto.ec2.models.launch_templates import LaunchTemplateBackend
from moto.ec2.responses.launch_templates import LaunchTemplates

from sandbox.cloud.moto_gaps.gap import Gap, replace
from sandbox.cloud.moto_gaps.launches import check_user_data

if TYPE_CHECKING:
    from sandbox.cloud.cloud import Cloud

GAPS = (Gap("template-tags", "puts a launch template's own tags among those of what it launches"),)


def fill(cloud: Cloud) -> None:
    create = LaunchTemplateBackend.create_launch_template
    answer_version = LaunchTemplates.create_launch_template_version

    @replace(LaunchTemplateBackend, "create_launch_template")
    def create_launch_template(self: Any, name: str, description: str, data: dict[str, Any], *args: Any) -> Any:
        check_user_data(data.get("UserData"))
        specifications = data.get("TagSpecifications") or []
        kept = [each for each in specifications if each["ResourceType"] != "launch-template"]
        rest = {key: value for key, value in data.items() if key != "TagSpecifications"}
        return create(self, name, description, rest | ({"TagSpecifications": kept} if kept else {}), *args)

    @replace(LaunchTemplates, "create_launch_template_version")
    def create_launch_template_version(self: LaunchTemplates) -> ActionResult:
        check_user_data((self._get_param("LaunchTemplateData") or {}).get("UserData"))
        return answer_version(self)
