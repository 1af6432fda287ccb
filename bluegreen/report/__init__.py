"""Shows what a command does: a live view on a terminal, plain lines elsewhere, JSON for programs.

with reporter(mode, ["prod"]) as report:
    ...  # events go to report.see
    report.result(Result(...))  # or report.error(error, exit_code)
"""

from bluegreen.report.report import Mode, Report, mode_of, reporter

__all__ = ["Mode", "Report", "mode_of", "reporter"]
