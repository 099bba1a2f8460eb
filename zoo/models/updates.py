"""Updates: how many a call into TensorFlow makes, that all of them are finite, and by one kernel a variable."""

import math

import keras
import tensorflow as tf

MOST = 20  # updates that a call makes where nobody says how many
HOOKS = [f"on_{loop}batch_{end}" for loop in ("", "train_", "test_") for end in ("begin", "end")]


def together(number, *exactly):
    """How many updates a call makes, so that an epoch has few calls, of which the last is full where that can be.

    Args:
        number: of an epoch's batches, None where it is not known.
        exactly: None, or numbers of batches after which Keras must stop; it would go on to fill its last call.
    """
    exact = math.gcd(*(count for count in exactly if count))
    whole = exact or number or 0
    best = max(count for count in range(1, MOST + 1) if whole % count == 0)
    return best if exact or best >= MOST // 2 else min(MOST // 2, number)


def listens(callback):
    """Whether a callback is to be called at each batch: not one that says no, or that waits for an epoch."""
    waits = getattr(callback, "save_freq", getattr(callback, "update_freq", None)) == "epoch"
    if waits or getattr(callback, "comes_with_calls", False):
        return False
    own = [getattr(getattr(callback, hook), "__func__", None) for hook in HOOKS]
    return own != [getattr(keras.callbacks.Callback, hook) for hook in HOOKS]


def apply_if(finite, moves):
    """Apply [(optimiser, gradients, variables)] if `finite`, a boolean scalar that is the same on all replicas.

    If not, no weight changes: zeroed gradients would still move Adam. Several replicas branch outside of their own
    contexts, because an optimiser merges them and a branch that merges is refused inside one.
    """
    replicas = tf.distribute.get_replica_context()
    if replicas.num_replicas_in_sync == 1:
        tf.cond(finite, lambda: apply_all(moves), lambda: lower_scales(moves))
        return

    def apply_on_all(strategy, finite, *gradients):
        def each(function):
            def with_own(*gradients):
                left = iter(gradients)
                function([(optimizer, [next(left) for _ in some], variables) for optimizer, some, variables in moves])

            return lambda: strategy.extended.call_for_each_replica(with_own, args=gradients)

        tf.cond(strategy.experimental_local_results(finite)[0], each(apply_all), each(lower_scales))

    replicas.merge_call(apply_on_all, args=(finite, *(g for _, gradients, _ in moves for g in gradients)))


def apply_all(moves):
    """Apply each optimiser's gradients."""
    for optimizer, gradients, variables in moves:
        optimizer.apply(gradients, variables)


@keras.saving.register_keras_serializable("zoo")
class FusedAdam(keras.optimizers.Adam):
    """Keras' Adam, which moves each variable by TensorFlow's kernel.

    That goes over the memory once, and is one operation; Keras' spelling is a dozen of both.
    """

    def apply(self, grads, trainable_variables=None):
        step = tf.cast(tf.convert_to_tensor(self.iterations) + 1, tf.float32)
        self.powers = self.beta_1**step, self.beta_2**step
        return super().apply(grads, trainable_variables)

    def update_step(self, gradient, variable, learning_rate):
        if self.amsgrad:
            super().update_step(gradient, variable, learning_rate)
            return
        at = self._get_variable_index(variable)
        every = (variable, self._momentums[at], self._velocities[at])
        moved, m, v = (x.value if isinstance(x, keras.Variable) else x for x in every)
        tf.raw_ops.ResourceApplyAdam(
            var=moved.handle,
            m=m.handle,
            v=v.handle,
            beta1_power=tf.cast(self.powers[0], moved.dtype),
            beta2_power=tf.cast(self.powers[1], moved.dtype),
            lr=tf.cast(learning_rate, moved.dtype),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=tf.cast(tf.convert_to_tensor(gradient), moved.dtype),
        )


@keras.saving.register_keras_serializable("zoo")
class FusedAdamW(FusedAdam, keras.optimizers.AdamW):
    """Keras' AdamW, which moves each variable as `FusedAdam` does."""


FUSED = {"adam": FusedAdam, "adamw": FusedAdamW}  # what these names stand for, here and in recipes


def lower_scales(moves):
    """Show the optimisers that scale the loss gradients that are not finite: they lower the scale and move nothing."""
    for optimizer, gradients, variables in moves:
        if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            optimizer.apply([None if g is None else g * math.nan for g in gradients], variables)
