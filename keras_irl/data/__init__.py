"""Demonstrations: texts as batches of states and actions."""

from keras_irl.aliases import offer as _offer
from keras_irl.data.chat_template import CHATML as CHATML
from keras_irl.data.chat_template import PLAIN as PLAIN
from keras_irl.data.chat_template import ChatTemplate as ChatTemplate
from keras_irl.data.chats import chat_demonstrations as chat_demonstrations
from keras_irl.data.dataset import Demonstrations as Demonstrations
from keras_irl.data.packing import (
    packed_demonstrations as packed_demonstrations,
)
from keras_irl.data.pairs import demonstrations as demonstrations

# Texts come with their tasks, which stand above this room.
__getattr__ = _offer(
    __name__, {"load_task": "keras_irl.tasks", "Task": "keras_irl.tasks"}
)
