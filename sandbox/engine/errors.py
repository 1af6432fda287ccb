"""What the stand-in engine says when it can't go on. Each error knows its exit code, as the real CLI's do."""

from __future__ import annotations

from bluegreen.errors import BluegreenError as BluegreenError


class EngineError(BluegreenError):
    """An expected failure: shown as `error: ...`, no traceback."""

    exit_code = 1


class Refused(EngineError):
    """Something that Pulumi can do and the stand-in can't; raised before anything is changed."""

    def __init__(self, what: str, instead: str = "") -> None:
        hint = instead or "install the Pulumi CLI (https://www.pulumi.com/docs/install/) for it"
        super().__init__(f"the stand-in for the Pulumi CLI does not support {what}; {hint}")


class StackNotFound(EngineError):
    exit_code = 6

    def __init__(self, name: str) -> None:
        super().__init__(f"no stack named '{name}' found")


class UnexpectedChanges(EngineError):
    exit_code = 7

    def __init__(self) -> None:
        super().__init__("no changes were expected but changes were proposed")


class NotConfirmed(EngineError):
    exit_code = 2

    def __init__(self) -> None:
        super().__init__(
            "--yes or --skip-preview or --preview-only must be passed in to proceed "
            "when running in non-interactive mode"
        )


class Bail(EngineError):
    """The operation failed and its diagnostics have already been shown."""

    def __init__(self) -> None:
        super().__init__("")
