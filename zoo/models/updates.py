"""Updates that happen only where they are finite, on one device or several."""

import math

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


def lower_scales(moves):
    """Show the optimisers that scale the loss gradients that are not finite: they lower the scale and move nothing."""
    for optimizer, gradients, variables in moves:
        if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            optimizer.apply([None if g is None else g * math.nan for g in gradients], variables)
