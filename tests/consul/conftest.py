"""What machines of a cluster run before Consul: the role's node.py, as a module."""

from __future__ import annotations

from types import ModuleType

import pytest

from tests.consul.cluster import FILES, node_of


@pytest.fixture
def node() -> ModuleType:
    return node_of(FILES / "node.py")
