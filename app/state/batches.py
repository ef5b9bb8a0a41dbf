"""Parts of a long list: a pipeline holds all that it is going to send."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

# Several kinds may be made anew at once.
BATCH = 200

_Item = TypeVar("_Item")


def batches(items: Iterable[_Item]) -> Iterator[tuple[_Item, ...]]:
    """These items, at most BATCH at a time."""
    rest = iter(items)
    while batch := tuple(islice(rest, BATCH)):
        yield batch
