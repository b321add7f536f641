"""The texts: demonstrations, and the tasks that they come from."""

from keras_irl.data.chat_template import CHATML as CHATML
from keras_irl.data.chat_template import PLAIN as PLAIN
from keras_irl.data.chat_template import ChatTemplate as ChatTemplate
from keras_irl.data.chats import chat_demonstrations as chat_demonstrations
from keras_irl.data.dataset import Demonstrations as Demonstrations
from keras_irl.data.demonstrations import demonstrations as demonstrations
from keras_irl.data.packing import (
    packed_demonstrations as packed_demonstrations,
)
from keras_irl.data.task import Task as Task
from keras_irl.data.tasks import load_task as load_task
