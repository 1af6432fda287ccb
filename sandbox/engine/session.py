"""What every command on a stack needs: the project, the backend, the stack's name, config and secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sandbox.engine import checkpoint
from sandbox.engine.backend import Backend, open_backend
from sandbox.engine.config import ConfigFile, StackConfig
from sandbox.engine.errors import EngineError, StackNotFound
from sandbox.engine.options import Options
from sandbox.engine.project import Project, find
from sandbox.engine.properties import Properties
from sandbox.engine.secrets import Crypter


@dataclass(frozen=True)
class Session:
    project: Project
    backend: Backend
    environment: Mapping[str, str]
    config_file: Path | None = None
    """The stack's, where it is not the project's own."""

    @classmethod
    def open(cls, options: Options, environment: Mapping[str, str]) -> Session:
        project = find(Path(options.text("cwd") or ".").absolute())
        config_file = options.text("config-file")
        return cls(project, open_backend(project, environment), environment, Path(config_file) if config_file else None)

    def stack(self, options: Options, name: str | None = None) -> Stack:
        """The stack of this name, else the one that `--stack` names, else the selected one; it must exist."""
        name = self.plain_name(
            name or options.text("stack") or self.environment.get("PULUMI_STACK") or self.backend.selected() or ""
        )
        if not name:
            raise EngineError(
                "no stack selected; please use `pulumi stack select` or `pulumi stack init` to choose one"
            )
        if not self.backend.exists(name):
            raise StackNotFound(name)
        return Stack(self, name)

    def plain_name(self, name: str) -> str:
        """The stack's own name: `organization/project/dev` and `dev` are the same here."""
        *above, name = name.split("/")
        if above and above[0] != "organization":
            raise EngineError("the file backend knows one organization: 'organization'")
        if len(above) > 1 and above[1] != self.project.name:
            raise EngineError(
                f"the stack {'/'.join([*above, name])} belongs to another project than {self.project.name}"
            )
        return name


@dataclass(frozen=True)
class Stack:
    """One stack, its files read when first asked for."""

    session: Session
    name: str

    @property
    def backend(self) -> Backend:
        return self.session.backend

    @property
    def project(self) -> Project:
        return self.session.project

    @cached_property
    def config_file(self) -> ConfigFile:
        return ConfigFile(self.session.config_file or self.project.config_file(self.name))

    @cached_property
    def document(self) -> dict[str, Any]:
        document = self.backend.read(self.name)
        checkpoint.check_schema(document)
        return document

    @property
    def deployment(self) -> dict[str, Any]:
        return self.document["checkpoint"].get("latest") or {}

    @property
    def _state_salt(self) -> str | None:
        return ((self.deployment.get("secrets_providers") or {}).get("state") or {}).get("salt")

    @cached_property
    def crypter(self) -> Crypter:
        """The stack's secrets: with the salt of its config file, else of its state, else a new one."""
        if salt := self.config_file.salt or self._state_salt:
            return Crypter(salt, self.session.environment)
        crypter = Crypter.new(self.session.environment)
        self.config_file.set_salt(crypter.salt)
        return crypter

    @cached_property
    def state_crypter(self) -> Crypter:
        """The secrets of the state, which may have been written under another salt than the config's."""
        salt = self._state_salt
        return self.crypter if not salt or salt == self.crypter.salt else Crypter(salt, self.session.environment)

    def snapshot(self) -> checkpoint.Snapshot:
        return checkpoint.load_deployment(self.deployment, self.state_crypter)

    def config(self) -> StackConfig:
        return self.config_file.read(self.project.name)

    def write(self, snapshot: checkpoint.Snapshot) -> None:
        deployment = checkpoint.dump_deployment(snapshot, self.crypter)
        self.backend.write(self.name, checkpoint.schema_of(snapshot), deployment)

    def outputs_of(self, reference: str) -> Properties:
        """The last outputs of a stack of this project, this one included."""
        other = Stack(self.session, self.session.plain_name(reference))
        if not self.backend.exists(other.name):
            raise EngineError(f'unknown stack "{reference}"')
        return other.snapshot().stack_outputs
