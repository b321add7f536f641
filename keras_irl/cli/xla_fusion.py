"""An option of XLA by which a decoder is trained faster on CPUs.

By default, what several others read is computed anew in each of them: in the
backward pass of a decoder, every layer sums the gradients of all later layers
again. With multi-output fusion it is computed once. XLA reads its options when
JAX first computes something, and they hold for the process. In Python:

    export XLA_FLAGS=--xla_backend_extra_options=xla_cpu_use_multi_output_fusion
"""

import os

_FLAG = "--xla_backend_extra_options="
_OPTION = "xla_cpu_use_multi_output_fusion"


def use_multi_output_fusion() -> None:
    """Sets the option; call it before JAX is imported.

    Other devices than CPUs don't read it, and other backends than JAX neither.
    Whoever has set options of this kind has chosen, and keeps those.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if _FLAG not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {_FLAG}{_OPTION}".strip()
