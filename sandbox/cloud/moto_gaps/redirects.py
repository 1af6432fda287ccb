"""Redirects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moto.elbv2.exceptions import ELBClientError
from moto.elbv2.models import ELBv2Backend, FakeAction

from sandbox.cloud.moto_gaps.gap import Gap, replace

if TYPE_CHECKING:
    from sandbox.cloud.cloud import Cloud

GAPS = (Gap("redirect-loops", "takes a redirect to where the request was"),)


def fill(_cloud: Cloud) -> None:
    validate = ELBv2Backend._validate_actions
    same = {"Protocol": "#{protocol}", "Host": "#{host}", "Port": "#{port}", "Path": "/#{path}"}

    @replace(ELBv2Backend, "_validate_actions")
    def validate_actions(self: ELBv2Backend, actions: list[FakeAction]) -> None:
        validate(self, actions)
        for action in actions:
            config = action.data.get("RedirectConfig")
            if config and all(config.get(key) in (None, value) for key, value in same.items()):
                raise ELBClientError(
                    "InvalidLoadBalancerAction",
                    "The redirect configuration is not valid because it creates a loop.",
                )
