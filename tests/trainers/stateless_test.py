"""Steps with state, as under JAX, and without; the same on all backends."""

import keras
import pytest
from testing import numpy

from keras_irl.keras_seams import StepState
from keras_irl.trainers.stateless import TrainingStep
from keras_irl.trainers.stateless import with_logs


class Model(keras.Model):
    def __init__(self):
        super().__init__()
        self.weight = self.add_weight(shape=(), initializer="ones", name="w")
        self.count = self.add_weight(
            shape=(), initializer="zeros", trainable=False, name="count"
        )
        self.mean = keras.metrics.Mean()
        self.built = True

    def call(self, x):
        return self.weight * x


@pytest.fixture
def model():
    model = Model()
    model.compile("sgd", loss="mse")
    model.optimizer.build(model.trainable_variables)
    return model


def state_of(model, weight, count):
    """What Keras would hand to a step, in its order."""
    return (
        [keras.ops.convert_to_tensor(weight)],
        [keras.ops.convert_to_tensor(count)],
        [keras.ops.convert_to_tensor(v) for v in model.optimizer.variables],
        [keras.ops.convert_to_tensor(v) for v in model.metrics_variables],
    )


def test_variables_have_the_values_of_the_state_and_keep_what_is_assigned(
    model,
):
    step = TrainingStep(model, (state_of(model, 5.0, 7.0), "data"))
    assert step.data == "data"
    with step.variables():
        found = model.weight.value
        model.count.assign(model.count + 1.0)
        model.optimizer.iterations.assign(3)
        model.mean.update_state(2.0)
    assert float(numpy(found)) == 5.0
    # The model itself is as it was.
    assert float(numpy(model.weight)) == 1.0
    assert float(numpy(model.count)) == 0.0
    assert float(step.state.trainable[0]) == 5.0
    assert float(step.state.non_trainable[0]) == 8.0
    means = [
        float(value)
        for variable, value in zip(
            model.metrics_variables, step.state.metrics, strict=True
        )
        if variable is model.mean.total
    ]
    assert means == [2.0]
    values = [int(numpy(x)) for x in step.state.optimizer if len(x.shape) == 0]
    assert 3 in values


def test_the_state_goes_through_and_the_logs_are_told_apart(model):
    state = state_of(model, 5.0, 7.0)
    step = TrainingStep(model, (state, "data"))
    assert step.arguments == (state, "data")
    after = state_of(model, 6.0, 7.0)
    assert step.take(({"loss": 1.0}, after)) == {"loss": 1.0}
    assert step.state == StepState(*after)
    logs, found = step.result({"loss": 2.0})
    assert logs == {"loss": 2.0} and found == after
    # Keras compiles for this very type.
    assert type(found) is tuple


def test_without_a_state_variables_speak_for_themselves(model):
    step = TrainingStep(model, ("data",))
    with step.variables():
        model.count.assign(4.0)
    assert float(numpy(model.count)) == 4.0
    assert step.arguments == ("data",)
    assert step.take({"loss": 1.0}) == {"loss": 1.0}
    assert step.result({"loss": 1.0}) == {"loss": 1.0}


def test_logs_are_changed_in_either():
    def double(logs):
        return {name: 2 * value for name, value in logs.items()}

    assert with_logs(double, {"loss": 1}) == {"loss": 2}
    assert with_logs(double, ({"loss": 1}, "state")) == ({"loss": 2}, "state")
