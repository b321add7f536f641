"""Tasks: texts to imitate, and the metrics that judge imitations of them."""

from keras_irl.tasks.loading import load_task as load_task
from keras_irl.tasks.task import Task as Task
