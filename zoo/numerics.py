"""Numbers that neither overflow nor cancel, spelt in operators that TFLite takes; and sums over several devices."""

import tensorflow as tf

MAX_SCALE = 1e3


def softplus(value):
    """tf.math.softplus, spelt so that it does not overflow in TFLite, whose own is log(1 + exp(value))."""
    return tf.maximum(value, 0.0) + tf.math.log1p(tf.exp(-tf.abs(value)))


def softmax(logits):
    """tf.nn.softmax over the last axis, of tensors of any rank: oneDNN's takes no more than five axes."""
    if logits.shape.rank <= 5:
        return tf.nn.softmax(logits, -1)
    return tf.reshape(tf.nn.softmax(tf.reshape(logits, [-1, logits.shape[-1]]), -1), tf.shape(logits))


def soft_scale(raw, minimum):
    """A positive scale, softly limited to [minimum, 1000], so that no density overflows: softplus in between.

    With s = softplus(raw - minimum) and the width w of that range it is minimum + s - softplus(s - w), which is
    tfb.SoftClip's value without its cancellation (1000 - 999.9 has lost three digits) and without its overflow where
    a converter spells softplus(1000) as log(1 + exp(1000)).
    """
    width = MAX_SCALE - minimum
    s = softplus(tf.cast(raw, tf.float32) - minimum)
    return minimum + tf.minimum(s, width) - tf.math.log1p(tf.exp(-tf.abs(s - width)))


def over_replicas(value):
    """The sum of a tensor over the replicas that take a step together; itself on one device."""
    replicas = tf.distribute.get_replica_context()
    alone = replicas is None or replicas.num_replicas_in_sync == 1
    return value if alone else replicas.all_reduce("sum", value)
