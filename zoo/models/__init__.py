"""One file a member of the family; importing this package registers them."""

from zoo.models import autoencoder, beta_vae, conditional_vae, m1, m1_m2, m2, vae  # noqa: F401
