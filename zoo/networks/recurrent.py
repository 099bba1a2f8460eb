"""Recurrent cells whose gates' input products are made outside of the loop, and the loop itself: time is axis 0."""

import keras
import tensorflow as tf

from zoo.errors import choose
from zoo.numerics import cut


class Recurrence(keras.layers.Layer):
    """A cell on gates [N, num_gates * units], what its inputs add to them; its state is a dict of [N, units].

    It stays in float32 under any policy, for rounding adds up over the steps.

    Args:
        units: of the state.
        state: the name of its first tensor, which is the output.
    """

    rows_apart = True

    num_gates, tensors = 1, 1

    def __init__(self, units, state="h"):
        super().__init__(name=f"{state}_cell", dtype="float32")
        self.units = units
        self.states = tuple(state if i == 0 else f"{state}_memory" for i in range(self.tensors))

    @property
    def gates(self):
        """How many numbers it takes a step."""
        return self.num_gates * self.units

    def add_kernel(self):
        """The square kernels of the state, side by side."""
        orthogonal = keras.initializers.Orthogonal()
        return self.add_weight(shape=(self.units, self.gates), initializer=orthogonal, name="recurrent_kernel")

    def start(self, rows):
        """The state before the first step: zeros."""
        return {name: tf.zeros([rows, self.units]) for name in self.states}

    def sweep(self, gates, real, state=None, reverse=False, cut=None, before=False):
        """[T, N, units]: the outputs along gates [T, N, ...]; steps where `real` [T, N] is 0 leave the state alone.

        Args:
            cut: [T], 1 in the steps that no gradient leaves through their state; None lets it through everywhere.
            before: whether the outputs are those that each step starts from.
        """
        state = self.start(tf.shape(gates)[1]) if state is None else {name: state[name] for name in self.states}

        def body(state, each):
            state = severed(state, each["cut"]) if "cut" in each else state
            new = keep(each["real"], self(each["gates"], state), state)
            return new, {"output": (state if before else new)[self.states[0]]}

        elements = {"gates": gates, "real": real} | ({} if cut is None else {"cut": cut})
        return scan(body, state, elements, {"output": self.units}, reverse)[1]["output"]


class GRU(Recurrence):
    """The gated recurrent unit, with the reset gate after the product. Cho et al. 2014, arXiv:1406.1078."""

    num_gates = 3

    def build(self, *shapes):
        self.kernel = self.add_kernel()
        self.bias = self.add_weight(shape=(self.gates,), initializer="zeros", name="recurrent_bias")

    def call(self, gates, state):
        h = state[self.states[0]]
        inner = tf.matmul(h, tf.convert_to_tensor(self.kernel)) + self.bias
        update, reset, new = zip(cut(gates, *[self.units] * 3), cut(inner, *[self.units] * 3), strict=True)
        keep = tf.sigmoid(sum(update))
        proposed = tf.tanh(new[0] + tf.sigmoid(sum(reset)) * new[1])
        return {self.states[0]: keep * h + (1 - keep) * proposed}


class LSTM(Recurrence):
    """Long short-term memory, its forget gates open at the start. Hochreiter & Schmidhuber 1997."""

    num_gates, tensors = 4, 2

    def build(self, *shapes):
        self.kernel = self.add_kernel()

    def call(self, gates, state):
        output, memory = self.states
        inner = gates + tf.matmul(state[output], tf.convert_to_tensor(self.kernel))
        let_in, forget, new, let_out = cut(inner, *[self.units] * 4)
        memory = tf.sigmoid(forget + 1.0) * state[memory] + tf.sigmoid(let_in) * tf.tanh(new)
        return {output: tf.sigmoid(let_out) * tf.tanh(memory), self.states[1]: memory}


CELLS = {"gru": GRU, "lstm": LSTM}


def cell_of(name, units, state="h"):
    """A built cell.

    Raises:
        InvalidInput: an unknown name.
    """
    cell = choose("cell", name, CELLS)(units, state)
    with keras.name_scope(cell.name):
        cell.build()
    cell.built = True
    return cell


def time_first(x):
    """[B, T, ...] <-> [T, B, ...]."""
    return tf.transpose(x, [1, 0, *range(2, x.shape.rank)])


def keep(real, new, old):
    """The new state in the rows [N] that are real, the old one in the others."""
    return {name: tf.where(real[:, None] > 0, new[name], old[name]) for name in old}


def severed(state, cut):
    """The state, through which no gradient goes where `cut` is 1."""
    return {name: tf.where(cut > 0, tf.stop_gradient(value), value) for name, value in state.items()}


def scan(body, state, elements, outputs, reverse=False):
    """(the last state, name -> [T, ...]) of a loop over the leading axis of `elements`.

    Only the states are kept for the gradient, which makes each step anew: memory is that of T states, and time stays
    linear in T where the compiler would copy whole arrays at every step.

    Args:
        body: (state, the step's elements) -> (state, name -> float32 [...]), of these and of variables alone.
        state: name -> tensor.
        elements: name -> [T, ...].
        outputs: name -> what follows the first axis of an output: its size, or () where nothing does.
        reverse: from the last step to the first.
    """
    first = next(iter(elements.values()))
    if first.shape[0] == 1:
        state, made = body(state, {name: tf.squeeze(value, 0) for name, value in elements.items()})
        return state, {name: tf.expand_dims(made[name], 0) for name in outputs}
    steps = first.shape[0] or tf.shape(first)[0]

    def step(state, each):
        new, made = body(state, each)
        new = {name: tf.ensure_shape(new[name], state[name].shape) for name in state}
        return new, {name: made[name] for name in outputs}

    @tf.custom_gradient
    def run(state, elements):
        kept = {("state", name): value.shape for name, value in state.items()}
        kept |= {("output", name): [None, size] if size != () else [None] for name, size in outputs.items()}

        def forward(state, each):
            new, made = step(state, each)
            return new, {**{("state", name): state[name] for name in state}, **{("output", n): made[n] for n in made}}

        last, found = loop(forward, state, elements, kept, steps, reverse)
        states = {name: found["state", name] for name in state}
        found = {name: found["output", name] for name in outputs}

        def gradient(*upstream, variables=()):
            over = tf.nest.pack_sequence_as((state, found), upstream)

            def backward(carried, each):
                before, one, above = each
                with tf.GradientTape() as tape:
                    tape.watch((before, one))
                    made = step(before, one)
                sources = (before, one, list(variables))
                below, to_elements, to_variables = tape.gradient(
                    made, sources, (carried[0], above), unconnected_gradients="zero"
                )
                total = [a + b for a, b in zip(carried[1], to_variables, strict=True)]
                return (below, total), to_elements

            zeros = [tf.zeros_like(variable) for variable in variables]
            shapes = {name: value.shape[1:] for name, value in elements.items()}
            (to_state, to_variables), to_elements = loop(
                backward, (over[0], zeros), (states, elements, over[1]), shapes, steps, not reverse
            )
            return tf.nest.flatten((to_state, to_elements)), to_variables

        return (last, found), gradient

    return run(state, elements)


def loop(body, state, elements, shapes, steps, reverse):
    """As `scan`, of any nested structures; without a gradient of its own."""
    arrays = tf.nest.map_structure(
        lambda value: tf.TensorArray(value.dtype, steps, element_shape=value.shape[1:]).unstack(value), elements
    )
    found = {name: tf.TensorArray(tf.float32, steps, element_shape=shape) for name, shape in shapes.items()}

    def step(i, state, found):
        t = steps - 1 - i if reverse else i
        new, made = body(state, tf.nest.map_structure(lambda array: array.read(t), arrays))
        return i + 1, new, {name: array.write(t, made[name]) for name, array in found.items()}

    _, state, found = tf.while_loop(lambda i, *_: i < steps, step, (0, state, found), maximum_iterations=steps)
    return state, {name: array.stack() for name, array in found.items()}
