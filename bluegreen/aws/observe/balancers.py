"""Load balancers: what their listeners and rules forward to, whose these are, and what is behind them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from bluegreen.aws.observe.asking import Asking
from bluegreen.aws.session import in_our_words, is_fault
from bluegreen.model.network_balancer import LoadBalancer, is_network
from bluegreen.model.observation import (
    Balancer,
    Egress,
    Entrance,
    Front,
    Group,
    Listener,
    Rule,
    Target,
)
from bluegreen.model.tags import (
    LISTENER,
    PROJECT,
    SERVICE,
    STACK,
    Owner,
    Purpose,
)

SCHEMES = {"HTTP": "http", "HTTPS": "https", "TCP": "http", "TLS": "https"}
"""Of URLs, by the protocol of a listener. What is passed on as TCP is HTTP, if anybody asks by a URL."""

MOST_ARNS_IN_A_CALL = 20
"""DescribeTags of Elastic Load Balancing takes twenty."""


class Balancers(Asking):
    """Questions about load balancers."""

    def active_of(self, groups: Sequence[Group]) -> Group | None:
        """The one of a service's groups that takes the most traffic now. With at most one, that one: no call."""
        if len(groups) < 2:
            return next(iter(groups), None)
        listeners = self.listeners_of(arn for group in groups for arn in group.target_groups)
        taken = {
            group: sum(each.weight_of(group.target_groups) for each in listeners if each.purpose is not Purpose.PREVIEW)
            for group in groups
        }
        return max((group for group in groups if taken[group] > 0), key=taken.__getitem__, default=None)

    @in_our_words
    def listeners_of(self, target_groups: Iterable[str]) -> tuple[Listener, ...]:
        """Every listener of every load balancer that these target groups (ARNs) are behind, and as one more each rule
        of ours that names any of them.

        A target group that is gone is behind none, and hides none of the others. Calls: one, then one per load
        balancer, one per listener (its rules), one for the listeners' tags, one for those of twenty rules.
        """
        asked = list(target_groups)
        listeners = [each for arn in self._balancers_of(asked) for each in self._describe_listeners(arn)]
        owned = self._owned([each["ListenerArn"] for each in listeners])
        seen = []
        named: list[str] = []
        for each in listeners:
            try:
                rules = self._rules_of(each)
            except ClientError as error:
                if is_fault(error, "ListenerNotFound"):  # on a destroy, listeners go while this is asked
                    continue
                raise
            seen.append((each, rules))
            named += [rule["RuleArn"] for rule in rules if _names_any(rule, asked) and not rule["IsDefault"]]
        ours = self._owned(named)
        found = []
        for each, rules in seen:
            arn, port = each["ListenerArn"], each["Port"]
            rest = [rule for rule in rules if rule["RuleArn"] not in ours]
            purpose = owned[arn].purpose if arn in owned else None
            found.append(Listener(arn=arn, port=port, purpose=purpose, weights=_weights_of(rest)))
            for rule in rules:
                if own := ours.get(rule["RuleArn"]):
                    weights = _weights_of([rule])
                    found.append(Listener(arn=rule["RuleArn"], port=port, purpose=own.purpose, weights=weights))
        return tuple(found)

    @in_our_words
    def entrance(self, target_group: str, purpose: Purpose, *, has_url: bool = True) -> Entrance | None:
        """The listener for this purpose of the service whose own listener names a target group (ARN), or on a shared
        load balancer its rule; None where there is none.

        Of two, the one that names the target group. Four calls, three where no URL is wanted; with rules one more for
        each listener, and one for the tags of twenty rules. A target group that no listener names is behind no load
        balancer.
        """
        for balancer in self._balancers_of([target_group]):
            listeners = self._describe_listeners(balancer)
            ways = self._own_listeners(listeners)
            if not any(target_group in way.weights for way in ways):
                ways = self._own_rules(listeners, target_group)
            owner = next((way.own.tags for way in ways if target_group in way.weights), None)
            ours = [way for way in ways if way.own.tags == owner]
            meant = [way for way in ours if way.own.purpose is purpose]
            for way in sorted(meant, key=lambda way: target_group not in way.weights):
                address = str(self._describe_balancer(balancer)["DNSName"]) if has_url else ""
                return way.entrance(address, ours)
        return None

    @in_our_words
    def shares(self, groups: Sequence[Group]) -> dict[str, int]:
        """Who takes how much of the traffic, in percent by release, as the production listener says of the load
        balancer that these groups are behind. Empty where none of them is behind one.

        Three calls for the first group that a listener names: those that are likely to be named come first.
        """
        releases = {arn: group.release for group in groups for arn in group.target_groups}
        for arn in releases:
            entrance = self.entrance(arn, Purpose.PRODUCTION, has_url=False)
            if entrance is None:
                continue
            whole = sum(entrance.weights.values()) or 1
            taken: dict[str, int] = {}
            for target_group, weight in entrance.weights.items():
                release = releases.get(target_group, target_group)
                taken[release] = taken.get(release, 0) + round(100 * weight / whole)
            return {release: share for release, share in taken.items() if share}
        return {}

    @in_our_words
    def balancer_of(self, target_groups: Iterable[str]) -> Balancer | None:
        """The load balancer that these target groups (ARNs) are behind; None where they are behind none. Two calls."""
        balancers = self._balancers_of(list(target_groups))
        try:
            return _balancer(self._describe_balancer(balancers[0])) if balancers else None
        except ClientError as error:
            if is_fault(error, "LoadBalancerNotFound"):
                return None
            raise

    @in_our_words
    def front(self, listener: str, priorities: Collection[int]) -> Front | None:
        """A listener (ARN) of anybody's, with those of its rules that have one of these priorities; None where there is
        none. Four calls, and one for the tags of rules."""
        elb = self._session.client("elbv2")
        try:
            (found,) = elb.describe_listeners(ListenerArns=[listener])["Listeners"]
        except ClientError as error:
            if is_fault(error, "ListenerNotFound"):
                return None
            raise
        balancer = _balancer(self._describe_balancer(found["LoadBalancerArn"]))
        rules = [each for each in self._describe_rules(listener) if each["Priority"] in map(str, priorities)]
        tags = self._tags_of([each["RuleArn"] for each in rules])
        filters = [{"Name": "group-id", "Values": list(balancer.security_groups)}]
        pages = self._session.client("ec2").get_paginator("describe_security_group_rules")
        egress = [
            each
            for page in (pages.paginate(Filters=filters) if balancer.security_groups else ())
            for each in page["SecurityGroupRules"]
            if each["IsEgress"]
        ]
        return Front(
            listener=listener,
            port=found["Port"],
            protocol=found["Protocol"],
            balancer=balancer,
            rules=tuple(
                Rule(
                    arn=each["RuleArn"],
                    priority=int(each["Priority"]),
                    tags=tags.get(each["RuleArn"], {}),
                    conditions=_in_words(each["Conditions"]),
                )
                for each in rules
            ),
            egress=tuple(
                Egress(
                    network=each.get("CidrIpv4", ""),
                    protocol=each["IpProtocol"],
                    from_port=each.get("FromPort", -1),
                    to_port=each.get("ToPort", -1),
                    tags={tag["Key"]: tag.get("Value", "") for tag in each.get("Tags", [])},
                )
                for each in egress
            ),
        )

    @in_our_words
    def protected_balancers(self, target_groups: Iterable[str], owner: Owner) -> tuple[str, ...]:
        """The owner's load balancers (ARNs) that these target groups (ARNs) are behind and that AWS refuses to delete.

        Calls: one, then one per load balancer, and two for each that is protected.
        """
        balancers = self._balancers_of(list(target_groups))
        return tuple(arn for arn in balancers if self._is_protected(arn) and self._has_listener(arn, owner))

    @in_our_words
    def default_weights(self, listener: str) -> dict[str, int]:
        """What the default action of a listener (ARN) forwards to, or a rule of a shared one (ARN): weight by target
        group ARN. One call.

        Another rule is not traffic: one that somebody made to look at a candidate says nothing of the users.
        """
        elb = self._session.client("elbv2")
        if ":listener-rule/" in listener:
            return _weights_of(elb.describe_rules(RuleArns=[listener])["Rules"])
        if is_network(listener):
            (found,) = elb.describe_listeners(ListenerArns=[listener])["Listeners"]
            return _weights_of([{"Actions": found["DefaultActions"]}])
        return _weights_of([rule for rule in self._describe_rules(listener) if rule["IsDefault"]])

    @in_our_words
    def targets(self, target_group: str) -> tuple[Target, ...]:
        """All targets of a target group (ARN). One call, whatever their number."""
        answer = self._session.client("elbv2").describe_target_health(TargetGroupArn=target_group)
        return tuple(
            Target(
                instance=each["Target"]["Id"],
                state=each["TargetHealth"]["State"],
                reason=each["TargetHealth"].get("Reason", ""),
                description=each["TargetHealth"].get("Description", ""),
            )
            for each in answer["TargetHealthDescriptions"]
        )

    @in_our_words
    def drain_seconds(self, target_group: str) -> float:
        """The deregistration delay of a target group (ARN), 0 where it is gone. One call."""
        try:
            answer = self._session.client("elbv2").describe_target_group_attributes(TargetGroupArn=target_group)
        except ClientError as error:
            if is_fault(error, "TargetGroupNotFound"):
                return 0.0
            raise
        attributes = {each["Key"]: each["Value"] for each in answer["Attributes"]}
        return float(attributes["deregistration_delay.timeout_seconds"])

    def _describe_target_groups(self, arns: list[str]) -> list[dict[str, Any]]:
        """Those of them that exist. AWS answers for none if one is missing, and for all there are if asked for none."""
        if not arns:
            return []
        try:
            answer = self._session.client("elbv2").describe_target_groups(TargetGroupArns=arns)
        except ClientError as error:
            if not is_fault(error, "TargetGroupNotFound"):
                raise
            return [] if len(arns) == 1 else [each for arn in arns for each in self._describe_target_groups([arn])]
        found: list[dict[str, Any]] = answer["TargetGroups"]
        return found

    def _balancers_of(self, target_groups: list[str]) -> list[str]:
        found = self._describe_target_groups(target_groups)
        return sorted({arn for each in found for arn in each.get("LoadBalancerArns", [])})

    def _rules_of(self, listener: dict[str, Any]) -> list[dict[str, Any]]:
        """Those of a Network Load Balancer's have a default action alone."""
        if not is_network(arn := listener["ListenerArn"]):
            return self._describe_rules(arn)
        return [{"RuleArn": arn, "IsDefault": True, "Actions": listener["DefaultActions"]}]

    def _describe_rules(self, listener: str) -> list[dict[str, Any]]:
        """The listener's default action is among them."""
        pages = self._session.client("elbv2").get_paginator("describe_rules").paginate(ListenerArn=listener)
        return [rule for page in pages for rule in page["Rules"]]

    def _own_listeners(self, listeners: list[dict[str, Any]]) -> list[_Way]:
        owned = self._owned([each["ListenerArn"] for each in listeners])
        return [
            _Way(arn=arn, own=owned[arn], listener=each, weights=_weights_of([{"Actions": each["DefaultActions"]}]))
            for each in listeners
            if (arn := each["ListenerArn"]) in owned
        ]

    def _own_rules(self, listeners: list[dict[str, Any]], target_group: str) -> list[_Way]:
        """Of listeners that have a rule which names a target group (ARN): every rule that is ours."""
        ways = []
        for listener in listeners:
            rules = [rule for rule in self._rules_of(listener) if not rule["IsDefault"]]
            if not any(_names_any(rule, [target_group]) for rule in rules):
                continue
            owned = self._owned([rule["RuleArn"] for rule in rules])
            ways += [
                _Way(arn=arn, own=owned[arn], listener=listener, weights=_weights_of([rule]), rule=rule)
                for rule in rules
                if (arn := rule["RuleArn"]) in owned
            ]
        return ways

    def _has_listener(self, balancer: str, owner: Owner) -> bool:
        """Whether a load balancer (ARN) has a listener that is the owner's: one that is shared has rules."""
        listeners = [each["ListenerArn"] for each in self._describe_listeners(balancer)]
        return any(owner.tags.items() <= own.tags.items() for own in self._owned(listeners).values())

    def _is_protected(self, balancer: str) -> bool:
        try:
            answer = self._session.client("elbv2").describe_load_balancer_attributes(LoadBalancerArn=balancer)
        except ClientError as error:
            if is_fault(error, "LoadBalancerNotFound"):
                return False
            raise
        attributes = {each["Key"]: each["Value"] for each in answer["Attributes"]}
        return attributes.get("deletion_protection.enabled") == "true"

    def _describe_balancer(self, balancer: str) -> dict[str, Any]:
        answer = self._session.client("elbv2").describe_load_balancers(LoadBalancerArns=[balancer])
        found: dict[str, Any] = answer["LoadBalancers"][0]
        return found

    def _describe_listeners(self, balancer: str) -> list[dict[str, Any]]:
        """None where the load balancer is gone: on a destroy it goes while this is asked."""
        pages = self._session.client("elbv2").get_paginator("describe_listeners").paginate(LoadBalancerArn=balancer)
        try:
            return [each for page in pages for each in page["Listeners"]]
        except ClientError as error:
            if is_fault(error, "LoadBalancerNotFound"):
                return []
            raise

    def _owned(self, arns: list[str]) -> dict[str, _Own]:
        """What listeners or rules (ARNs) of ours are for, and whose they are; others are not in it."""
        return {
            arn: _Own(
                purpose=Purpose(tags[LISTENER]),
                tags={key: tags[key] for key in (PROJECT, STACK, SERVICE) if key in tags},
            )
            for arn, tags in self._tags_of(arns).items()
            if tags.get(LISTENER) in set(Purpose)
        }

    def _tags_of(self, arns: list[str]) -> dict[str, dict[str, str]]:
        return {
            each["ResourceArn"]: {tag["Key"]: tag.get("Value", "") for tag in each["Tags"]}
            for start in range(0, len(arns), MOST_ARNS_IN_A_CALL)
            for each in self._describe_tags(arns[start : start + MOST_ARNS_IN_A_CALL])
        }

    def _describe_tags(self, arns: list[str]) -> list[dict[str, Any]]:
        """Those of the listeners or rules that exist: AWS answers for none if one is missing."""
        try:
            answer = self._session.client("elbv2").describe_tags(ResourceArns=arns)
        except ClientError as error:
            if not is_fault(error, "ListenerNotFound", "RuleNotFound"):
                raise
            return [] if len(arns) == 1 else [each for arn in arns for each in self._describe_tags([arn])]
        found: list[dict[str, Any]] = answer["TagDescriptions"]
        return found


@dataclass(frozen=True, kw_only=True)
class _Own:
    """What a listener or rule of ours is for. `tags`: those that say whose it is."""

    purpose: Purpose
    tags: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class _Way:
    """A listener, or a rule of one, that is ours."""

    arn: str
    own: _Own
    listener: Mapping[str, Any]
    weights: dict[str, int]
    rule: Mapping[str, Any] | None = None

    def comes_before(self, other: _Way) -> bool:
        is_here = self.listener["ListenerArn"] == other.listener["ListenerArn"]
        return is_here and self._priority < other._priority

    @property
    def _priority(self) -> int:
        return int(self.rule["Priority"]) if self.rule else 0

    def entrance(self, address: str, others: Iterable[_Way]) -> Entrance:
        """`address`: of the load balancer, empty where no URL is wanted. `others`: of the same service."""
        scheme, port = SCHEMES[self.listener["Protocol"]], self.listener["Port"]
        if self.rule is None:
            url = f"{scheme}://{address}:{port}" if address else ""
            return Entrance(listener=self.arn, url=url, weights=self.weights)
        hosts = [value for kind, _, values in _conditions(self.rule) if kind == "host-header" for value in values]
        host = next((each for each in hosts if not set(each) & set("*?")), address)
        return Entrance(
            listener=self.arn,
            url=f"{scheme}://{host}:{port}" if address else "",
            weights=self.weights,
            address=address,
            headers=tuple((name, values[0]) for kind, name, values in _conditions(self.rule) if kind == "http-header"),
            is_hidden=self.own.purpose is Purpose.PREVIEW
            and any(way.own.purpose is Purpose.PRODUCTION and way.comes_before(self) for way in others),
        )


def _balancer(found: Mapping[str, Any]) -> Balancer:
    return Balancer(
        arn=found["LoadBalancerArn"],
        vpc=found.get("VpcId", ""),
        is_internal=found.get("Scheme") == "internal",
        kind=found.get("Type", LoadBalancer.APPLICATION),
        address=found["DNSName"],
        address_zone=found.get("CanonicalHostedZoneId", ""),
        is_dualstack=found.get("IpAddressType") == "dualstack",
        zones=tuple(sorted(each["ZoneName"] for each in found.get("AvailabilityZones", []))),
        security_groups=tuple(found.get("SecurityGroups", [])),
    )


def _conditions(rule: Mapping[str, Any]) -> Iterator[tuple[str, str, list[str]]]:
    """Kind, name of the header where it is about one, and values, of conditions that have plain values."""
    for each in rule["Conditions"]:
        configs = [value for key, value in each.items() if key.endswith("Config") and value]
        config = configs[0] if configs else each
        values = [str(value) for value in config.get("Values") or each.get("Values") or ()]
        if values:
            yield each["Field"], config.get("HttpHeaderName", ""), values


def _in_words(conditions: list[dict[str, Any]]) -> str:
    found = _conditions({"Conditions": conditions})
    return ", ".join(f"{name or kind} {' or '.join(values)}" for kind, name, values in found)


def _names_any(rule: Mapping[str, Any], target_groups: Collection[str]) -> bool:
    return any(arn in target_groups for arn in _weights_of([rule]))


def _weights_of(rules: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """What rules together forward to: weight by target group ARN."""
    weights: dict[str, int] = {}
    for rule in rules:
        for action in rule["Actions"]:
            for arn, weight in _forwards(action):
                weights[arn] = weights.get(arn, 0) + weight
    return weights


def _forwards(action: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Target group ARN and weight of each target group that an action forwards to."""
    if action["Type"] != "forward":
        return
    groups = action.get("ForwardConfig", {}).get("TargetGroups", [])
    if groups:
        for each in groups:
            yield each["TargetGroupArn"], each.get("Weight", 1)
    elif arn := action.get("TargetGroupArn"):
        yield arn, 1
