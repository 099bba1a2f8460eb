"""One file a member of the family; importing this package registers them."""

from zoo.models import autoencoder, beta_vae, conditional_vae, flows, vae  # noqa: F401
