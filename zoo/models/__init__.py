"""One file a member of the family; importing this package registers them."""

from zoo.models import autoencoder, beta_vae, conditional_vae, dlgm, hierarchical_vae, iwae, lvae, vae  # noqa: F401
