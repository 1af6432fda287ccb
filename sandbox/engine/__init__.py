"""A stand-in for the `pulumi` command, for machines that have none. README.md says what it does and what it refuses."""

# Of the Python SDK that it serves; checkpoints carry it, and the Automation API reads it.
VERSION = "v3.272.0"
