"""What a verb asks of AWS that the sandbox does not see it ask, each with the reason. By verb, as recordings have it.

Pulumi's real provider reads more than the stand-in's; AWS asks for rights that the sandbox has no call for.
"""

from __future__ import annotations

from sandbox.iam.policy import Question

_ROLES = [f"arn:aws:iam::${{account}}:role/${{service}}-{kind}-~" for kind in ("machines", "flow-logs")]
_OURS = {f"aws:ResourceTag/bluegreen:{key}": (f"${{{key}}}",) for key in ("project", "stack", "service")}


def _on_ours(action: str, resource: str) -> Question:
    return Question(action=action, resource=resource, context=_OURS)


_BALANCER = (
    # Elastic Load Balancing User Guide, "API permissions": beside ec2:Describe*, for SetSecurityGroups.
    Question(action="ec2:GetSecurityGroupsForVpc", resource="arn:aws:ec2:${region}:${account}:vpc/~"),
)
_OF_ROLES = tuple(
    # terraform-provider-aws, internal/service/iam/role.go: what it reads of a role, and before it deletes one.
    _on_ours(f"iam:{name}", role)
    for name in ("ListAttachedRolePolicies", "ListInstanceProfilesForRole", "ListRolePolicies")
    for role in _ROLES
)
_OF_NAMES = (
    # terraform-provider-aws, internal/service/cloudwatch/tags_gen.go, and ssm's: tags are read apart.
    Question(
        action="cloudwatch:ListTagsForResource", resource="arn:aws:cloudwatch:${region}:${account}:alarm:${service}-~"
    ),
    Question(
        action="ssm:ListTagsForResource",
        resource="arn:aws:ssm:${region}:${account}:parameter/bluegreen/${project}/${stack}/${service}/~",
    ),
)

_OF_WAITS = (
    # The guard asks for connections of a Network Load Balancer ten minutes after its listener was changed; nor does any
    # walk under roles soak, or keep a group for its sticky clients.
    Question(action="cloudwatch:GetMetricData", resource="*"),
)

_OF_THE_SERVICE = {key: _OURS[key] for key in _OURS if not key.endswith("stack")}
_AS_OURS = {key.replace("Resource", "Request"): values for key, values in _OF_THE_SERVICE.items()}
_IMAGE, _SNAPSHOT = "arn:aws:ec2:${region}::image/~", "arn:aws:ec2:${region}::snapshot/~"
_GROUP = "arn:aws:ec2:${region}:${account}:security-group/~"
_OF_BAKES = (
    # A bake that fails removes the image that it made, tagged by then or not.
    *(
        Question(action=action, resource=resource, context=context)
        for action, resource in (("ec2:DeregisterImage", _IMAGE), ("ec2:DeleteSnapshot", _SNAPSHOT))
        for context in (_OF_THE_SERVICE, {})
    ),
    # Packer's amazon plugin gives `run_tags` to its key pair and security group too; Packer 1.6.6 does not.
    *(
        Question(
            action="ec2:CreateTags",
            resource=f"arn:aws:ec2:${{region}}:${{account}}:{kind}/*",
            context={**_AS_OURS, "ec2:CreateAction": (action,)},
        )
        for kind, action in (("key-pair", "CreateKeyPair"), ("security-group", "CreateSecurityGroup"))
    ),
    *(
        Question(action=f"ec2:{name}", resource=_GROUP, context=_OF_THE_SERVICE)
        for name in ("AuthorizeSecurityGroupIngress", "DeleteSecurityGroup")
    ),
)

UNSEEN: dict[str, tuple[Question, ...]] = {
    "bake": _OF_BAKES,
    "deploy": (*_BALANCER, *_OF_ROLES, *_OF_NAMES, *_OF_WAITS),
    "rollback": (*_OF_ROLES, *_OF_NAMES, *_OF_WAITS),
    "read-only": (*_OF_ROLES, *_OF_NAMES),
}
