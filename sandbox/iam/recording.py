"""What IAM was asked while a verb was at work, with the names of that run taken out: one file of questions a verb.

`python -m sandbox.iam.recording DIR` adds what the sandboxes' `iam.jsonl` in DIR say (`make iam-record` has it done).
Placeholders stand for the place; `~` for what AWS or Pulumi made up: ids, and the random ends of names.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bluegreen.model import backups
from bluegreen.model.artifact_bucket import own_bucket_name
from bluegreen.model.permissions import Verb
from bluegreen.model.tags import PROJECT, SERVICE, STACK, Owner
from sandbox.iam.policy import Question

VERBS = tuple(Verb)
DIRECTORY = Path(__file__).parent / "recorded"
MADE_UP = "~"

_PLACE = re.compile(r"(?<=:)(us|eu|ap)-[a-z]+-\d(?=:)|(?<=:)\d{12}(?=:)")
_IDS = (
    (re.compile(r"(?<=^arn:aws:ec2:)(.*/)[a-z]+-[0-9a-f]{8,17}\b"), rf"\1{MADE_UP}"),  # vpc-0123..
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), MADE_UP),
    (re.compile(r"(?<=hostedzone/)[A-Z0-9]+|(?<=change/)[A-Z0-9]+"), MADE_UP),
    (re.compile(r"(?<=/)[0-9a-f]{16}\b"), MADE_UP),  # of a load balancer's
    (re.compile(r"(?<=[-_])[0-9a-f]{7,17}(?![0-9a-z])"), MADE_UP),  # of Pulumi's, and a release's
    (re.compile(r"(?<=/packer_)\S+"), MADE_UP),
    (re.compile(r"(?<=parameter/aws/service/)\S+"), MADE_UP),
    (re.compile(r"(?<=/webacl/)\S+"), MADE_UP),
    (re.compile(r"(?<=arn:aws:s3:::)[^$/]+"), MADE_UP),  # a bucket of the user's
    (re.compile(r"(?<=autoScalingGroup:)[^:]+"), "*"),
)
_LISTENER = re.compile(r"arn:aws:elasticloadbalancing:.*:listener(?P<rule>-rule)?/app/(?P<balancer>[^/]+)/")
_OURS = (PROJECT, STACK, SERVICE)


def canonical(question: Question, owner: Owner, table: str = "bluegreen") -> Question:
    """The same of any place and any run."""
    resource = question.resource
    if resource != "*":
        account = resource.split(":")[4] or "123456789012"
        region = question.context.get("aws:RequestedRegion", ("",))[0]
        place = (owner.project, owner.stack, account, region)
        resource = resource.replace(own_bucket_name(*place), "${bucket}")
        resource = resource.replace(own_bucket_name(*place, backups.KIND), "${backups}")
        resource = resource.replace(f":table/{table}", ":table/${table}")
        resource = resource.replace(f"bluegreen/{owner.project}/{owner.stack}/", "@/${project}/${stack}/")
        resource = _PLACE.sub(lambda found: "${account}" if found[0].isdigit() else "${region}", resource)
        for pattern, made_up in _IDS:
            resource = pattern.sub(made_up, resource)
        if (shared := _LISTENER.match(resource)) and not shared["balancer"].startswith(f"{owner.service}-"):
            name = f":listener-rule/app/{MADE_UP}"
            resource = re.sub(r":listener-rule/.*", name, resource) if shared["rule"] else "${listener}"
        if resource.startswith("arn:aws:s3:::${bucket}/"):
            resource = re.sub(r"/artifacts/[^/]+/.*", "/artifacts/${service}/~", resource)
        resource = re.sub(r"(:parameter/@/.+)/[^/]+$", rf"\1/{MADE_UP}", resource)
        prefix, _, name = resource.rpartition(":")
        for word, placeholder in _words(owner).items():
            name = re.sub(rf"(?<![\w{{]){re.escape(word)}(?![\w}}])", placeholder, name)
        resource = f"{prefix}:{name}".lstrip(":").replace("@/", "bluegreen/")
    return Question(action=question.action, resource=resource, context=_context(question, owner))


def _words(owner: Owner) -> dict[str, str]:
    return {owner.service: "${service}", owner.stack: "${stack}", owner.project: "${project}"}


def _context(question: Question, owner: Owner) -> dict[str, tuple[str, ...]]:
    """Without tags of others, and with placeholders in ours."""
    words = _words(owner)
    kept: dict[str, tuple[str, ...]] = {}
    for key, values in sorted(question.context.items()):
        _, slash, tag = key.partition("/")
        if slash and tag in _OURS:
            kept[key] = tuple(words.get(each, each) for each in values)
        elif key == "ec2:LaunchTemplate":
            kept[key] = ("arn:aws:ec2:${region}:${account}:launch-template/~",)
        elif key == "kms:GranteePrincipal":
            kept[key] = tuple(_PLACE.sub("${account}", each) for each in values)
        elif not slash and key not in ("aws:TagKeys", "aws:RequestedRegion"):
            kept[key] = values
    return kept


def read(verb: str, directory: Path = DIRECTORY) -> tuple[Question, ...]:
    """The recorded questions of a verb."""
    file = directory / f"{verb}.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return tuple(_question(json.loads(line)) for line in lines)


def write(verb: str, questions: Iterable[Question], directory: Path = DIRECTORY) -> None:
    """Each once, in order, a line each."""
    lines = {
        json.dumps(
            {"action": each.action, "resource": each.resource, **({"context": each.context} if each.context else {})}
        )
        for each in questions
    }
    (directory / f"{verb}.jsonl").write_text("".join(f"{line}\n" for line in sorted(lines)), encoding="utf-8")


def filled(question: Question, place: Mapping[str, str]) -> Question:
    """As it would be asked at a place."""
    return Question(
        action=question.action,
        resource=_fill(question.resource, place),
        context={key: tuple(_fill(each, place) for each in values) for key, values in question.context.items()},
    )


def _fill(text: str, place: Mapping[str, str]) -> str:
    for name, value in place.items():
        text = text.replace(f"${{{name}}}", value)
    return text.replace(MADE_UP, "0a1b2c3")


def _question(line: Mapping[str, Any]) -> Question:
    context = {key: tuple(values) for key, values in line.get("context", {}).items()}
    return Question(action=line["action"], resource=line["resource"], context=context)


def main(runs: Path) -> None:
    """Condense the logs of sandboxes, named STACK.whatever.jsonl."""
    found: dict[str, list[Question]] = {verb.value: [] for verb in VERBS}
    for log in sorted(runs.glob("*.jsonl")):
        owner = Owner(project="bluegreen", stack=log.name.split(".")[0], service="web")
        for line in map(json.loads, log.read_text(encoding="utf-8").splitlines()):
            if line["role"] in found:  # machines have roles too
                found[line["role"]].append(canonical(_question(line), owner))
    for verb, questions in found.items():
        write(verb, questions)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
