"""Service Quotas: EC2's quota of vCPUs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from moto.servicequotas.models import ServiceQuotasBackend
from moto.servicequotas.responses import ServiceQuotasResponse

from sandbox.cloud import quotas
from sandbox.cloud.moto_gaps.gap import Gap, replace

if TYPE_CHECKING:
    from sandbox.cloud.cloud import Cloud

GAPS = (Gap("vcpu-quota", "launches without a quota of vCPUs, and lists none that is applied"),)


def fill(cloud: Cloud) -> None:
    get, listed = ServiceQuotasBackend.get_service_quota, ServiceQuotasBackend.list_aws_default_service_quotas

    def of_ec2(backend: ServiceQuotasBackend) -> dict[str, Any]:
        return quotas.as_answer(cloud.vcpu_quota, region=backend.region_name, account=backend.account_id)

    @replace(ServiceQuotasBackend, "get_service_quota")
    def get_service_quota(self: ServiceQuotasBackend, service_code: str, quota_code: str) -> dict[str, Any]:
        if (service_code, quota_code) == ("ec2", quotas.STANDARD):
            return of_ec2(self)
        return get(self, service_code, quota_code)

    @replace(ServiceQuotasResponse, "list_service_quotas")
    def list_service_quotas(self: ServiceQuotasResponse) -> str:
        given = json.loads(self.body)
        service = str(given.get("ServiceCode"))
        found = [of_ec2(self.backend)] if service == "ec2" else listed(self.backend, service)
        code = given.get("QuotaCode")
        return json.dumps({"Quotas": [it for it in found if code in (None, it["QuotaCode"])]})
