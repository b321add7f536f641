"""The texts: demonstrations, and the tasks that they come from."""

from keras_irl.data.dataset import Demonstrations as Demonstrations
from keras_irl.data.demonstrations import demonstrations as demonstrations
from keras_irl.data.task import Task as Task
from keras_irl.data.tasks import load_task as load_task
