"""The Pulumi program of a stack. What it declares is in `bluegreen.program`, its settings in `Pulumi.yaml`."""

from bluegreen.program import main

main()
