"""What machines of a cluster run before Consul: the role's node.py, as a module."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

FILES = Path(__file__).parents[2] / "ansible/roles/consul/files"


@pytest.fixture
def node() -> ModuleType:
    spec = importlib.util.spec_from_file_location("node", FILES / "node.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
