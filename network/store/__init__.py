"""Objects by content id: in a directory, in Kubo, or in several places at once."""

from network.store.base import Content, ContentStore
from network.store.fallback import FallbackStore
from network.store.kubo import KuboStore
from network.store.local import LocalStore

__all__ = ["Content", "ContentStore", "FallbackStore", "KuboStore", "LocalStore"]
