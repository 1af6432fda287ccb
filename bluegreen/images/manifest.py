"""The manifest that Packer's post-processor writes: which image a run made. Pure."""

from __future__ import annotations

import json
import re

from bluegreen.errors import PackerError

NOT_WRITTEN = 'See that the template has a `post-processor "manifest"` with `output = var.manifest`.'


def image_in(manifest: str, region: str) -> str:
    """The AMI that the last run made in a region. Raises PackerError where there is none, or more than one.

    `artifact_id` is `region:ami`, with commas between where an image was copied (Packer's amazon `Artifact.Id`).
    """
    try:
        content = json.loads(manifest)
        last = content["last_run_uuid"]
        ids = [build["artifact_id"] for build in content["builds"] if build["packer_run_uuid"] == last]
        pairs = [pair.strip().partition(":") for each in ids for pair in str(each).split(",")]
    except (ValueError, KeyError, TypeError) as error:
        raise PackerError(f"Packer's manifest can't be read ({type(error).__name__}: {error})", NOT_WRITTEN) from error
    images = [(where, image) for where, _, image in pairs if re.fullmatch(r"ami-[0-9a-f]+", image)]
    here = sorted({image for where, image in images if where == region})
    if not images:
        raise PackerError("Packer ended well, but its manifest names no AMI", NOT_WRITTEN)
    if not here:
        elsewhere = ", ".join(f"{image} in {where}" for where, image in images)
        raise PackerError(
            f"Packer's manifest names no AMI in {region}, but {elsewhere}", "The template should build in var.region."
        )
    if len(here) > 1:
        raise PackerError(
            f"Packer's manifest names {len(here)} AMIs in {region}: {', '.join(here)}",
            "A template should have one build.",
        )
    return here[0]
