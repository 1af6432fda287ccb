"""The Pulumi program of an account's roles. docs/roles.md says how it is used, Pulumi.yaml what can be set."""

from pathlib import Path

from bluegreen.roles import main

main(Path(__file__).parents[1])
