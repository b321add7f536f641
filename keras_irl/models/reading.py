"""One reader of a policy at a time."""

import threading
import weakref

_LOCKS = weakref.WeakKeyDictionary()
_GUARD = threading.Lock()


def lock_of(policy):
    """Returns the lock that whoever reads a policy must hold.

    Compiled functions give the arrays of a policy away while they run, under
    JAX, and samplers are lent to it meanwhile: a second thread would find what
    belongs to the first.

    Args:
        policy: A language model.

    Returns:
        A `threading.RLock`, always the same for a policy.
    """
    with _GUARD:
        return _LOCKS.setdefault(policy, threading.RLock())
