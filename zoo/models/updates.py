"""Updates that happen only where they are finite, on one device or several, by one kernel a variable."""

import math
import types

import keras
import tensorflow as tf


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


def fuse(optimizer):
    """Have Keras' Adam or AdamW move each variable by TensorFlow's kernel.

    That goes over the memory once, and is one operation to trace; Keras' spelling is a dozen of both.
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # of one that scales the loss
    if type(optimizer) in (keras.optimizers.Adam, keras.optimizers.AdamW) and not optimizer.amsgrad:
        optimizer.update_step = types.MethodType(adam_step, optimizer)


def adam_step(adam, gradient, variable, learning_rate):
    """Keras' `update_step` of an Adam, with its own moments."""
    at = adam._get_variable_index(variable)
    moved, m, v = (
        x.value if isinstance(x, keras.Variable) else x for x in (variable, adam._momentums[at], adam._velocities[at])
    )
    step = tf.cast(tf.convert_to_tensor(adam.iterations) + 1, moved.dtype)
    tf.raw_ops.ResourceApplyAdam(
        var=moved.handle,
        m=m.handle,
        v=v.handle,
        beta1_power=adam.beta_1**step,
        beta2_power=adam.beta_2**step,
        lr=tf.cast(learning_rate, moved.dtype),
        beta1=adam.beta_1,
        beta2=adam.beta_2,
        epsilon=adam.epsilon,
        grad=tf.cast(tf.convert_to_tensor(gradient), moved.dtype),
    )


def lower_scales(moves):
    """Show the optimisers that scale the loss gradients that are not finite: they lower the scale and move nothing."""
    for optimizer, gradients, variables in moves:
        if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            optimizer.apply([None if g is None else g * math.nan for g in gradients], variables)
