"""The cluster: several processes that train one policy together."""

import os

import keras

from keras_irl.arguments import check_integer
from keras_irl.arguments import check_kind
from keras_irl.error_texts import first_line
from keras_irl.runtime.processes import agree_on_seed
from keras_irl.runtime.processes import num_processes as num_connected

_PREFIX = "KERAS_DISTRIBUTION_"
# What JAX reads of the environment, and an error may be about.
_OF_A_STEP = "SLURM_STEP_NODELIST"
_OF_A_CLUSTER = (
    *("SLURM_JOB_ID", _OF_A_STEP, "SLURM_NTASKS", "SLURM_PROCID"),
    *("SLURM_LOCALID", "OMPI_MCA_orte_hnp_uri", "OMPI_COMM_WORLD_SIZE"),
    *("OMPI_COMM_WORLD_RANK", "KUBERNETES_SERVICE_HOST"),
    *("JOB_COMPLETION_INDEX", "TPU_WORKER_ID", "TPU_WORKER_HOSTNAMES"),
    *("TPU_PROCESS_ADDRESSES", "MEGASCALE_COORDINATOR_ADDRESS"),
    *("MEGASCALE_NUM_SLICES", "MEGASCALE_SLICE_ID"),
    *("JAX_COORDINATOR_ADDRESS", "JAX_COORDINATOR_PORT"),
    "JAX_LOCAL_DEVICE_IDS",
)


def initialize(
    job_addresses: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
) -> None:
    """Joins the processes of a cluster to one training.

    Every process runs the same program, calls this first, and then sets the
    same distribution. A mesh spans the devices of all of them:

    ```python
    keras_irl.distribution.initialize()
    mesh = keras.distribution.DeviceMesh(
        (len(keras.distribution.list_devices()),), ["batch"]
    )
    keras.distribution.set_distribution(keras_irl.distribution.Sharded(mesh))
    ```

    What is made by `keras_irl.data` after that reads on each process its share
    of every batch: all rows are read once an epoch, and `batch_size` is that
    of all processes together. Processes whose devices hold parts of one copy
    of the policy read the same rows. The first process writes files and shows
    progress. The `fit` of keras-hub takes such data too, once the
    distribution has `auto_shard_dataset=False`.

    It is `keras.distribution.initialize` with checks. What isn't passed is read
    from the environment: `KERAS_DISTRIBUTION_JOB_ADDRESSES`,
    `KERAS_DISTRIBUTION_NUM_PROCESSES` and `KERAS_DISTRIBUTION_PROCESS_ID`; or
    else JAX finds out by itself, on Cloud TPU and GKE, and where SLURM, Open
    MPI or Kubernetes started the processes. Under SLURM and Open MPI a process
    sees one GPU: start one for each, or set `JAX_LOCAL_DEVICE_IDS`.

    Processes that `jax.distributed.initialize` has joined already are taken as
    they are. Call this nevertheless: unless `keras.utils.set_random_seed` was
    called, they agree on a seed here, without which each would draw weights of
    its own.

    Args:
        job_addresses: Address and port of the first process, such as
            `"10.0.0.1:1234"`; or of all, separated by commas.
        num_processes: The number of processes, at least 1.
        process_id: Which this one is, counted from 0.

    Raises:
        ValueError: If the backend is another than JAX, an argument is wrong or
            can't be found out, the processes were joined already as others or
            have different seeds, or JAX was used already, by which a process
            settles that it is alone.

    Example:
    ```python
    # On the first of two machines, and with process_id=1 on the second:
    keras_irl.distribution.initialize("10.0.0.1:1234", 2, process_id=0)
    ```
    """
    _check_backend()
    addresses = _read("job_addresses", job_addresses)
    count = _read("num_processes", num_processes)
    number = _read("process_id", process_id)
    _check_numbers(addresses, count, number)
    if not _are_joined(count, number):
        try:
            keras.distribution.initialize(addresses, count, number)
        # What finds out the cluster fails in ways of its own.
        except Exception as error:
            raise _explained(error, addresses, count, number) from error
    agree_on_seed()


def _check_backend():
    backend = keras.config.backend()
    if backend != "jax":
        raise ValueError(
            "Keras joins processes on JAX alone. Set KERAS_BACKEND=jax before "
            f"Keras is imported. Received: backend={backend!r}"
        )


def _explained(error, addresses, count, number):
    """The error of what JAX could not do."""
    said = first_line(error)
    received = (
        f"job_addresses={addresses!r}, num_processes={count}, "
        f"process_id={number}"
    )
    if "before any JAX" in said:
        return ValueError(
            "JAX was used before this, by which a process settles that it is "
            "alone. Call `initialize` first, before any array, device or "
            f"model is made. Received: {received}"
        )
    environment = _environment()
    advice = ""
    if "SLURM_JOB_ID" in environment and _OF_A_STEP not in environment:
        advice = "Under SLURM, start the program by `srun`. "
    return ValueError(
        "The processes could not be joined. Pass `job_addresses`, "
        f"`num_processes` and `process_id`, or set {_PREFIX}JOB_ADDRESSES, "
        f"{_PREFIX}NUM_PROCESSES and {_PREFIX}PROCESS_ID, and see that the "
        f"first process can be reached. {advice}JAX said: {said} "
        f"Received: {received}"
        + "".join(f", {name}={value}" for name, value in environment.items())
    )


def _environment():
    """Variables of the environment by which JAX finds out a cluster."""
    return {
        name: os.environ[name] for name in _OF_A_CLUSTER if name in os.environ
    }


def _read(name, value):
    """An argument, or what the environment says in its place."""
    if value is None:
        value = os.environ.get(_PREFIX + name.upper()) or None
    if value is None or name == "job_addresses":
        return value
    if isinstance(value, str):
        try:
            value = int(value)
        except ValueError:
            raise ValueError(
                f"{_PREFIX}{name.upper()} must be a whole number. "
                f"Received: {name}={value!r}"
            ) from None
    return check_integer(name, value, least=1 if name[0] == "n" else 0)


def _check_numbers(addresses, count, number):
    if addresses is not None:
        check_kind("job_addresses", addresses, str)
        places = [place.strip() for place in addresses.split(",")]
        for place in places:
            host, _, port = place.rpartition(":")
            if not host or not port.isdigit() or not 0 < int(port) < 65536:
                raise ValueError(
                    "`job_addresses` must be the address and the port of the "
                    'first process, such as "10.0.0.1:1234", or those of all, '
                    "separated by commas. "
                    f"Received: job_addresses={addresses!r}"
                )
        if len(places) > 1 and count is not None and len(places) != count:
            raise ValueError(
                "There must be one address, or one for each process. Received: "
                f"job_addresses={addresses!r}, num_processes={count}"
            )
    if count is not None and number is not None and number >= count:
        raise ValueError(
            "Processes are counted from 0, so the last one is "
            f"{count - 1}. Received: process_id={number}, "
            f"num_processes={count}"
        )


def _are_joined(count, number):
    """Whether the processes are joined already, as it was asked for."""
    import jax

    if not jax.distributed.is_initialized():
        return False
    found = num_connected(), jax.process_index()
    if count not in (None, found[0]) or number not in (None, found[1]):
        raise ValueError(
            "The processes are joined already, as others than these. Call "
            "`initialize` once, at the beginning. "
            f"Received: num_processes={count} and process_id={number} in "
            f"process {found[1]} of {found[0]} processes"
        )
    return True
