"""Which bridges there are, so that they are closed before the interpreter goes.

A thread that waits would otherwise come back to an interpreter that is no more.
"""

from __future__ import annotations

import atexit
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import _native

_bridges: weakref.WeakSet[_native.Bridge] = weakref.WeakSet()


def track(bridge: _native.Bridge) -> None:
    """Has a bridge closed at the end of the program, if it is there until then."""
    _bridges.add(bridge)


@atexit.register
def _close_all() -> None:
    from . import _native

    # All at once: one alone may take 5 s. The native half has threads at this time, when Python gives none any more.
    _native._close(list(_bridges))
    # Whoever waited comes back with an error, while there is an interpreter to come back to.
    _native._settle(5.0)
