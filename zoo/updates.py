"""Updates that happen only where they are finite, on one device or several."""

import tensorflow as tf


def apply_if(finite, optimizer, gradients, variables):
    """Apply the gradients unless `finite`, a boolean scalar, is False on any replica; then change nothing.

    Zeroed gradients would still move Adam. Several replicas must decide together, outside of their own contexts,
    because an optimiser merges them and a branch that merges is refused inside one.
    """
    replicas = tf.distribute.get_replica_context()
    if replicas.num_replicas_in_sync == 1:
        tf.cond(finite, lambda: optimizer.apply(gradients, variables), lambda: None)
        return

    def apply_on_all(strategy, bad, *gradients):
        def apply():
            strategy.extended.call_for_each_replica(optimizer.apply, args=(list(gradients), variables))

        tf.cond(strategy.experimental_local_results(bad)[0] == 0, apply, lambda: None)

    bad = replicas.all_reduce("sum", tf.cast(~finite, tf.int32))
    replicas.merge_call(apply_on_all, args=(bad, *gradients))
