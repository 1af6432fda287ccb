"""Whether a call's caller may make it: the sandbox's IAM, over moto's roles, policies and resources.

Judged is who has a role that is there: its policies, written into it or attached, have to allow the call. The sandbox's
own key is an administrator's, and so is a role that nobody has made. What is asked of judged callers is a line of
`iam.jsonl` each.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.utils import get_service_model
from moto.iam.models import Role, iam_backends
from moto.sts.models import AssumedRole, sts_backends
from werkzeug.exceptions import NotFound

from sandbox.cloud.resources import Resources
from sandbox.cloud.throttle import Refusal
from sandbox.iam.policy import PolicyError, Question, Verdict, judge, statements_of
from sandbox.iam.questions import Call, UnknownCall, questions

Environ = Mapping[str, Any]

BOTO_NAMES = {"elasticloadbalancing": "elbv2", "monitoring": "cloudwatch", "servicequotas": "service-quotas"}
"""Of services that sign otherwise than boto3 calls them."""
IAM_NAMES = {"monitoring": "cloudwatch"}

_S3_SUBRESOURCES = {
    "versioning": "BucketVersioning",
    "encryption": "BucketEncryption",
    "publicAccessBlock": "PublicAccessBlock",
    "lifecycle": "BucketLifecycleConfiguration",
    "policy": "BucketPolicy",
    "tagging": "BucketTagging",
    "ownershipControls": "BucketOwnershipControls",
    "location": "BucketLocation",
    "uploads": "Bucket",
}


class Judge:
    """One for a sandbox. Called under its lock."""

    def __init__(self, log: Path) -> None:
        self._log = log.open("a", encoding="utf-8", buffering=1)

    def refusal(self, environ: Environ, body: bytes) -> Refusal | None:
        """In the words of the called service, where the caller may not; None otherwise."""
        credential = _credential(environ)
        session = _session(credential[0]) if credential else None
        role = _role(session) if session else None
        if credential is None or session is None or role is None:
            return None
        _, region, service = credential
        try:
            call = _call(environ, body, service, region, session.account_id)
            statements = statements_of(_documents(role))
            asked = questions(call, Resources(session.account_id, region))
        except (UnknownCall, PolicyError) as fault:
            return _refusal(service, environ, f"{session.arn}: {fault}")
        verdicts = [judge(statements, question) for question in asked]
        for question, verdict in zip(asked, verdicts, strict=True):
            self._record(role.name, question, verdict)
        for question, verdict in zip(asked, verdicts, strict=True):
            if verdict is not Verdict.ALLOWED:
                return _refusal(service, environ, _words(session, question, verdict, call))
        return None

    def _record(self, role: str, question: Question, verdict: Verdict) -> None:
        line = {
            "role": role,
            "action": question.action,
            "resource": question.resource,
            "context": question.context,
            "isAllowed": verdict is Verdict.ALLOWED,
        }
        self._log.write(json.dumps(line) + "\n")


def _words(session: AssumedRole, question: Question, verdict: Verdict, call: Call) -> str:
    """As AWS writes them since 2021 ("Troubleshoot access denied error messages" in the IAM User Guide)."""
    template = call.parameters.get("LaunchTemplate", {}).get("LaunchTemplateId", "")
    is_for_launch = call.service == "autoscaling" and question.action.partition(":")[0] in ("ec2", "iam") and template
    return (
        (f"You are not authorized to use launch template: {template}. " if is_for_launch else "")
        + f"User: {session.arn} is not authorized to perform: {question.action} on resource: {question.resource} "
        + f"because {verdict.value.replace('allows it', f'allows the {question.action} action')}"
    )


# -- the caller


def _credential(environ: Environ) -> tuple[str, str, str] | None:
    """Access key, region and service that a request is signed for, in its header or in its URL."""
    scope = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2].partition(",")[0]
    if not scope:
        signed = parse_qs(environ.get("QUERY_STRING", ""))
        if key := signed.get("AWSAccessKeyId"):  # of S3's second version, which names no region
            return key[0], "us-east-1", "s3"
        scope = signed.get("X-Amz-Credential", [""])[0]
    parts = unquote(scope).split("/")
    return (parts[0], parts[2], parts[3]) if len(parts) == 5 else None


def _session(access_key: str) -> AssumedRole | None:
    for account in list(sts_backends.values()):
        for backend in list(account.values()):
            if found := backend.get_assumed_role_from_access_key(access_key):
                return found
    return None


def _role(session: AssumedRole) -> Role | None:
    backend = iam_backends[session.account_id]["aws"]
    return next((each for each in backend.roles.values() if each.arn == session.role_arn), None)


def _documents(role: Role) -> list[dict[str, Any]]:
    attached = [
        version.document
        for policy in role.managed_policies.values()
        for version in policy.versions
        if version.version_id == policy.default_version_id
    ]
    return [json.loads(each) for each in (*role.policies.values(), *attached)]


# -- the call


def _call(environ: Environ, body: bytes, service: str, region: str, account: str) -> Call:
    operation, parameters = _s3(environ) if service == "s3" else _parsed(environ, body, service)
    return Call(
        service=IAM_NAMES.get(service, service),
        operation=operation,
        parameters=parameters,
        region=region,
        account=account,
    )


def _parsed(environ: Environ, body: bytes, service: str) -> tuple[str, dict[str, Any]]:
    request = Request({**environ, "wsgi.input": io.BytesIO(body)})
    name = BOTO_NAMES.get(service, service)
    model = get_service_model(name)
    in_path: Mapping[str, Any] = {}
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        operation = target.rpartition(".")[2]
    elif "Action" in request.values:
        operation = request.values["Action"]
    else:
        try:
            found, in_path = get_service_router(name).match(request)
        except NotFound:
            raise UnknownCall(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} is no call of {service}") from None
        operation = str(found.name)
    parser = PROTOCOL_PARSERS[determine_request_protocol(model, request.content_type)]
    parsed = parser(model.operation_model(operation)).parse(
        {
            "method": request.method,
            "values": request.values,
            "headers": request.headers,
            "body": body,
            "url_path": request.path,
            "url_params": dict(in_path),
        }
    )
    return operation, dict(parsed)


def _s3(environ: Environ) -> tuple[str, dict[str, Any]]:
    """Buckets are in the path here."""
    bucket, _, key = environ["PATH_INFO"].lstrip("/").partition("/")
    method = environ["REQUEST_METHOD"]
    query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    if not bucket:
        return "ListBuckets", {}
    if key:
        verb = {"GET": "Get", "HEAD": "Head", "PUT": "Put", "POST": "Put", "DELETE": "Delete"}[method]
        return f"{verb}Object", {"Bucket": bucket, "Key": key}
    for name, subresource in _S3_SUBRESOURCES.items():
        if name in query:
            return f"{method.capitalize()}{subresource}", {"Bucket": bucket}
    if method == "POST":
        return "DeleteObjects", {"Bucket": bucket, "Key": "*"}
    operation = {"GET": "ListObjectsV2", "HEAD": "HeadBucket", "PUT": "CreateBucket", "DELETE": "DeleteBucket"}[method]
    return operation, {"Bucket": bucket}


# -- the answer


def _refusal(service: str, environ: Environ, words: str) -> Refusal:
    text = words.replace("&", "&amp;").replace("<", "&lt;")
    match service:
        case _ if "HTTP_X_AMZ_TARGET" in environ:
            answer = json.dumps({"__type": "AccessDeniedException", "message": words, "Message": words})
            return Refusal(HTTPStatus.BAD_REQUEST, answer, "application/x-amz-json-1.0")
        case "ec2":
            return Refusal(
                HTTPStatus.FORBIDDEN,
                "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>You are not authorized to perform "
                f"this operation. {text}</Message></Error></Errors><RequestID>denied</RequestID></Response>",
                "text/xml",
            )
        case "s3":
            answer = f"<Error><Code>AccessDenied</Code><Message>{text}</Message><RequestId>denied</RequestId></Error>"
            return Refusal(HTTPStatus.FORBIDDEN, answer, "application/xml")
        case _:
            return Refusal(
                HTTPStatus.FORBIDDEN,
                f"<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>{text}</Message></Error>"
                "<RequestId>denied</RequestId></ErrorResponse>",
                "text/xml",
            )
