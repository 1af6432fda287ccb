"""`packer/ami.txt`: the image that was baked last, for a release that does not bake."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from bluegreen.errors import ImageError
from bluegreen.model.settings import image_fault

AMI_FILE = Path("packer/ami.txt")


def write_ami(directory: Path, image: str) -> None:
    """Replaced whole or not at all, whatever happens meanwhile. Raises ImageError, which names the image."""
    file = directory / AMI_FILE
    try:
        with tempfile.NamedTemporaryFile("w", dir=file.parent, prefix=f".{file.name}.", delete=False) as new:
            try:
                new.write(f"{image}\n")
                new.flush()
                os.fchmod(new.fileno(), 0o644)
                os.fsync(new.fileno())
                os.replace(new.name, file)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(new.name)
                raise
    except OSError as error:
        raise ImageError(
            f"{image} is baked, but {AMI_FILE} can't be written: {error}",
            f"{AMI_FILE} is as it was. Mend that; `bluegreen release STACK --skip-bake --ami {image}` deploys it.",
        ) from error


def check_ami_file(directory: Path) -> None:
    """See that `write_ami` will be able to, before anything is done. Raises ImageError."""
    file = directory / AMI_FILE
    next_step = "A bake writes the image's id there. Mend that. Nothing was launched."
    if os.path.isdir(file):
        raise ImageError(f"{AMI_FILE} is a directory", next_step)
    try:
        with tempfile.NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}."):
            pass
    except OSError as error:
        raise ImageError(f"{AMI_FILE} can't be written: {error}", next_step) from error


def read_ami(directory: Path) -> str:
    """Raises ImageError where nothing was baked here, or the file holds something else."""
    file = directory / AMI_FILE
    next_step = "Bake one with `bluegreen bake STACK`, or name one with --ami. Nothing was deployed."
    try:
        image = file.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise ImageError(f"there is no {AMI_FILE}: nothing was baked here yet", next_step) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ImageError(f"{AMI_FILE} can't be read: {error}", next_step) from error
    if image_fault(image):
        raise ImageError(f"{AMI_FILE} holds {image!r}, which is not the id of an AMI", next_step)
    return image
