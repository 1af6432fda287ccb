"""Identity providers of IAM that speak OpenID Connect: whose tokens the account takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sandbox.provider.aws import Aws, absent, as_pairs, doing
from sandbox.provider.table import TAGS, ResourceType, names, output, text, text_set
from sandbox.provider.wire import Props

_GONE: Final = "NoSuchEntity"
_SCHEME: Final = "https://"


def _create(aws: Aws, news: Props) -> str:
    with doing(aws.iam, "creating IAM OIDC Provider"):
        made = aws.iam.create_open_id_connect_provider(
            Url=news["url"], ClientIDList=news["clientIdLists"], Tags=as_pairs(news.get("tags", {}))
        )
    return str(made["OpenIDConnectProviderArn"])


def _read(aws: Aws, arn: str, known: Props) -> Props | None:
    with doing(aws.iam, f"reading IAM OIDC Provider ({arn})"), absent(_GONE):
        found = aws.iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
        url = found["Url"]
        return {
            "arn": arn,
            "clientIdLists": sorted(found["ClientIDList"]),
            "url": known["url"] if _is_same_url(known.get("url"), url) else url,
            **aws.tag_state(found.get("Tags", [])),
        }
    return None


def _update(aws: Aws, arn: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
    before, after = set(olds["clientIdLists"]), set(news["clientIdLists"])
    with doing(aws.iam, f"updating IAM OIDC Provider ({arn})"):
        for client in sorted(after - before):
            aws.iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID=client)
        for client in sorted(before - after):
            aws.iam.remove_client_id_from_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID=client)


def _delete(aws: Aws, arn: str, olds: Props) -> None:
    with doing(aws.iam, f"deleting IAM OIDC Provider ({arn})"), absent(_GONE):
        aws.iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)


def _retag(aws: Aws, arn: str, tags: Mapping[str, str], removed: list[str]) -> None:
    with doing(aws.iam, f"updating tags of IAM OIDC Provider ({arn})"):
        if removed:
            aws.iam.untag_open_id_connect_provider(OpenIDConnectProviderArn=arn, TagKeys=removed)
        if tags:
            aws.iam.tag_open_id_connect_provider(OpenIDConnectProviderArn=arn, Tags=as_pairs(tags))


def _is_same_url(old: Any, new: Any) -> bool:
    """IAM keeps it without its scheme."""
    return str(old or "").removeprefix(_SCHEME) == str(new or "").removeprefix(_SCHEME)


def _is_no_https(name: str, value: str) -> str | None:
    return None if value.startswith(_SCHEME) else f'expected "{name}" to have a url with schema of: "https"'


PROVIDER = ResourceType(
    token="aws:iam/openIdConnectProvider:OpenIdConnectProvider",
    properties={
        "clientIdLists": text_set(required=True),
        "url": text(required=True, replaces=True, refuses=_is_no_https, suppresses=_is_same_url),
        "arn": output(),
        **TAGS,
    },
    refused=names("thumbprintLists"),
    create=_create,
    read=_read,
    update=_update,
    delete=_delete,
    retag=_retag,
)
