"""VAEs with richer posteriors: the VAE with another part, by name.

    z0 ~ N(loc(x), diag(scale(x)^2)),   q(z | x): z0 through the layers of a flow

`zoo.posteriors` has the layers, their arguments and their papers. An argument is given as
`create("planar_vae", posterior={"name": "planar", "num_layers": 40, "amortized": False})`.
"""

from zoo.models.vae import VAE
from zoo.registry import register

register("planar_vae", "planar flows as posterior", "Rezende & Mohamed 2015", posterior="planar")(VAE)
register("radial_vae", "radial flows as posterior", "Rezende & Mohamed 2015", posterior="radial")(VAE)
register("sylvester_vae", "Sylvester flows as posterior", "van den Berg et al. 2018", posterior="sylvester")(VAE)
register("householder_vae", "Householder flows as posterior", "Tomczak & Welling 2016", posterior="householder")(VAE)
register("iaf_vae", "inverse autoregressive flows as posterior", "Kingma et al. 2016", posterior="iaf")(VAE)
register("coupling_vae", "affine coupling flows as posterior", "Dinh et al. 2017", posterior="coupling")(VAE)
register("spline_vae", "spline coupling flows as posterior", "Durkan et al. 2019", posterior="spline")(VAE)
register("full_covariance_vae", "a Gaussian posterior with full covariance", posterior="full_covariance")(VAE)
