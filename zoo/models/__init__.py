"""One file a member of the family; importing this package registers them."""

from zoo.models import autoencoder, beta_vae, conditional_vae, flows, priors, vae, vamp_vae  # noqa: F401
