"""One file a member of the family; importing this package registers them."""

from zoo.models import (  # noqa: F401
    autoencoder,
    beta_vae,
    conditional_vae,
    dlgm,
    dmm,
    flows,
    hierarchical_vae,
    iwae,
    jmvae,
    lvae,
    m1,
    m1_m2,
    m2,
    priors,
    rnn_baseline,
    srnn,
    storn,
    vae,
    vamp_vae,
    vrnn,
)
