"""A class label as data."""

from zoo.probability import tfp

tfd = tfp.distributions


class Label(tfd.Categorical):
    """tfd.Categorical over int labels; its mean is the probabilities [..., C], what a decoder shows of a label."""

    def __init__(self, logits, name="Label"):
        parameters = dict(locals())
        super().__init__(logits=logits, name=name)
        self._parameters = parameters

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return {"logits": tfp.util.ParameterProperties(event_ndims=1)}

    def _mean(self):
        return self.probs_parameter()
