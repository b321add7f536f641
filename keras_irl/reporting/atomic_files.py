"""The old name of `keras_irl.files.atomic`, until version 0.3."""

from keras_irl.aliases import offer as _offer

__getattr__ = _offer(
    __name__,
    dict.fromkeys(("atomic_save", "atomic_write"), "keras_irl.files.atomic"),
    removed_in="0.3",
)
