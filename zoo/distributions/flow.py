"""A distribution pushed through layers that keep account of volumes."""

from zoo.probability import tfp

tfd = tfp.distributions


class FlowDistribution(tfd.Distribution):
    """z = layers(z0), z0 ~ distribution; log p(z) = log p(z0) - log |det dz/dz0|.

    A draw comes with its density at the cost of the forward pass alone. The density of any other point takes the
    layers' inverses, of which some are numerical (`zoo.bijectors`).

    Args:
        distribution: the base, over [D], with any batch shape.
        layers: `zoo.bijectors.Flow`s, the first being the first to act; parameters broadcast against the batch.
    """

    def __init__(self, distribution, layers, name="FlowDistribution"):
        parameters = dict(locals())
        self.distribution, self.layers = distribution, list(layers)
        super().__init__(
            dtype=distribution.dtype,
            reparameterization_type=distribution.reparameterization_type,
            validate_args=False,
            allow_nan_stats=True,
            parameters=parameters,
            name=name,
        )

    def push(self, z0):
        """Base draws [..., D] -> (z [..., D], log |det dz/dz0| [...])."""
        z, log_det = z0, 0.0
        for layer in self.layers:
            z, more = layer.push(z)
            log_det += more
        return z, log_det

    def pull(self, z):
        """z [..., D] -> (base draws [..., D], log |det dz0/dz| [...])."""
        z0, log_det = z, 0.0
        for layer in reversed(self.layers):
            z0, more = layer.pull(z0)
            log_det += more
        return z0, log_det

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return {"distribution": tfp.util.BatchedComponentProperties()}

    def _batch_shape(self):
        return self.distribution.batch_shape

    def _batch_shape_tensor(self):
        return self.distribution.batch_shape_tensor()

    def _event_shape(self):
        return self.distribution.event_shape

    def _event_shape_tensor(self):
        return self.distribution.event_shape_tensor()

    def _log_prob(self, z):
        z0, log_det = self.pull(z)
        return self.distribution.log_prob(z0) + log_det

    def _sample_n(self, n, seed=None):
        return self.push(self.distribution.sample(n, seed=seed))[0]

    def _sample_and_log_prob(self, sample_shape, seed):
        z0, log_prob = self.distribution.experimental_sample_and_log_prob(sample_shape, seed=seed)
        z, log_det = self.push(z0)
        return z, log_prob - log_det

    def _default_event_space_bijector(self):
        return tfp.bijectors.Identity()


class FlowPosterior(FlowDistribution):
    """A flow as a posterior, with a location and a scale: its base's, of which the first is pushed.

    Neither is a moment: no flow but a linear one has those in closed form, and TFP says so of `mean` and `stddev`.
    """

    def location(self):
        return self.push(self.distribution.mean())[0]

    def scale(self):
        return self.distribution.stddev()


def location(posterior):
    """[..., D]: the point that stands for a posterior: its own location where it has one, as flows do, or its mean."""
    return posterior.location() if hasattr(posterior, "location") else posterior.mean()


def scale(posterior):
    """[..., D]: how wide a posterior is: the scale of one with a location of its own, or its standard deviation."""
    return posterior.scale() if hasattr(posterior, "location") else posterior.stddev()
