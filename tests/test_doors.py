"""What comes in at every door: arrays, streams, targets, weights of the rows, and what cannot be used."""

import re
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from support import small, tiered

import zoo
from zoo.data.spec import FieldSpec, are_pixels
from zoo.errors import InvalidInput
from zoo.export import export_saved_model

X = np.random.RandomState(0).rand(64, 4, 4, 1).astype("float32")
Y = np.arange(64) % 3
LATE = np.where(np.arange(64)[:, None, None, None] == 60, np.float32(200), X)  # one row, in the last of eight batches


def stream(*fields):
    return tf.data.Dataset.from_tensor_slices(fields if len(fields) > 1 else fields[0]).batch(8)


def compiled(name="vae", **config):
    model = small(name, **config)
    model.compile(keras.optimizers.SGD(0.1))
    return model


def fitted(*data, name="vae", config=None, **arguments):
    """The weights after one epoch, in order."""
    model = compiled(name, **(config or {}))
    model.fit(*data, verbose=0, shuffle=False, **arguments)
    return model.get_weights()


def same(first, second):
    return all(np.allclose(a, b, rtol=1e-5, atol=1e-6) for a, b in zip(first, second, strict=True))


# ---------------------------------------------------------------- values


@pytest.mark.parametrize("verb", ["fit", "evaluate", "predict", "train_on_batch", "test_on_batch", "__call__"])
@pytest.mark.parametrize("value", [np.nan, np.inf, 200.0, -0.5])
def test_no_verb_takes_arrays_with_a_value_that_does_not_fit_and_the_row_is_named(verb, value):
    bad = X.copy()
    bad[17, 2, 1] = value
    quiet = {"verbose": 0} if verb in ("fit", "evaluate", "predict") else {}
    with pytest.raises(InvalidInput, match=r"row 17 of 64") as error:
        getattr(compiled(), verb)(bad, **quiet)
    assert "\n" not in str(error.value)


def test_no_density_takes_values_that_do_not_fit():
    model = small("m2")
    for ask in (
        lambda: model.posterior(X * 255),
        lambda: model.posterior(X, 7),
        lambda: model.posterior(X[:, :3]),
        lambda: model.likelihood(np.full((2, 3), np.nan, "float32")),
        lambda: model.likelihood(np.zeros((2, 4), "float32")),
        lambda: small("vae").likelihood(np.full((2, 3), np.inf, "float32")),
        lambda: small("conditional_vae").posterior(X, Y + 10),
    ):
        with pytest.raises(InvalidInput):
            ask()
    images = (X * 255).astype("uint8")
    np.testing.assert_allclose(
        model.posterior(images).mean(), model.posterior(images / np.float32(255)).mean(), rtol=1e-6
    )


@pytest.mark.parametrize("verb", tiered(["fit", "evaluate", "predict"], {"fit"}.__contains__))
def test_later_batches_of_a_stream_are_counted_in_the_step_and_nothing_is_learnt_from_them(verb):
    model = compiled()
    with pytest.raises(InvalidInput, match=r"1 rows of x in batch 8 .* outside 0..1"):
        getattr(model, verb)(stream(LATE), verbose=0)
    model.fit(X, verbose=0)  # and goes on afterwards
    if verb == "fit":
        assert same(fitted(X[:56], batch_size=8), compiled_until_bad())


def compiled_until_bad():
    model = compiled()
    with pytest.raises(InvalidInput):
        model.fit(stream(LATE), verbose=0)
    model.steps.assign_sub(1)
    return model.get_weights()


def test_a_validation_stream_and_labels_of_a_stream_are_counted_too():
    with pytest.raises(InvalidInput, match="in batch 8"):
        compiled().fit(X, validation_data=stream(LATE), verbose=0)
    labels = np.where(np.arange(64) == 60, 9, Y)
    with pytest.raises(InvalidInput, match="rows of y in batch 8"):
        compiled("m2").fit(stream(X, labels), verbose=0)


def test_what_a_mask_hides_is_not_counted():
    mask = np.ones_like(X)
    mask[60] = 0
    compiled("vae", masked=True).fit(stream({"x": LATE, "mask": mask}), verbose=0)


def test_an_export_refuses_values_that_do_not_fit_and_says_what_does(tmp_path):
    path = export_saved_model(small("vae"), tmp_path / "m")
    encode = tf.saved_model.load(str(path)).signatures["encode"]
    encode(x=tf.constant(X))
    for bad in (X * 255, X * np.nan, X - 1):
        with pytest.raises(tf.errors.InvalidArgumentError, match="x must be finite, and in 0..1"):
            encode(x=tf.constant(bad))
    said = zoo.files.read_json(path / "assets.extra/inputs.json")["encode"]["x"]
    assert (said["minimum"], said["maximum"], said["shape"]) == (0.0, 1.0, [4, 4, 1])


# ---------------------------------------------------------------- forms


def generator(*batches):
    yield from batches


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (lambda: tf.RaggedTensor.from_row_lengths(X.ravel(), [1000, 24]), "x is a RaggedTensor"),
        (lambda: tf.sparse.from_dense(X), "x is a SparseTensor"),
        (lambda: list(X), "x is a list of 64, and a batch is one array: np.stack"),
        (lambda: X[:0], "x is empty"),
        (lambda: X.transpose(0, 3, 1, 2), "put the channels last, np.moveaxis(x, 1, -1)"),
        (lambda: generator(X[:8], X[:8] * 2), "divide by 255"),
        (lambda: generator(X[:8], X[:8, :3]), "x has shape (3, 4, 1)"),
        (lambda: (X - X.mean()) / X.std(), 'likelihood="normal"'),
        (lambda: {"x": X, "label": Y}, "the batch has a field 'label', but the model takes x"),
        (lambda: stream({"x": X, "y": Y}), "load_dataset(..., labels=False)"),
        (lambda: stream(X, Y), "labels it does not take: leave them out"),
        (lambda: stream(X, X, Y, Y), "a batch is (x, target, sample_weight), got 4"),
    ],
)
def test_what_is_no_batch_is_told_in_one_line(data, message):
    with pytest.raises(InvalidInput, match=re.escape(message)) as error:
        compiled().fit(data(), verbose=0)
    assert "\n" not in str(error.value)


def test_a_batch_of_another_shape_later_in_a_stream_is_told():
    batches = tf.data.Dataset.from_generator(
        lambda: generator(X[:8], X[:8], X[:8, :3]), output_signature=tf.TensorSpec([None, None, 4, 1])
    )
    with pytest.raises(InvalidInput, match=r"a later batch has shape \[8,3,4,1\], the model takes"):
        compiled().fit(batches, verbose=0)


def test_generators_of_arrays_and_of_tuples_are_taken():
    for batches in ((X[:8], X[8:16]), ((X[:8],), (X[8:16],))):
        assert same(fitted(generator(*batches)), fitted(X[:16], batch_size=8))


def test_labels_come_beside_x_or_in_a_dict_as_numbers_or_one_hot():
    one_hot = np.eye(3)[Y]
    expected = fitted({"x": X, "y": Y}, name="m2", batch_size=8)
    for data in ((X, Y), (X, one_hot), ({"x": X}, Y), (stream(X, Y),), (stream({"x": X, "y": one_hot.astype(int)}),)):
        size = {} if isinstance(data[0], tf.data.Dataset) else {"batch_size": 8}
        assert same(fitted(*data, name="m2", **size), expected)
    with pytest.raises(InvalidInput, match="y has shape"):
        fitted(X, 2 * one_hot, name="m2")


def test_one_label_stands_for_all_draws():
    model = small("m2")
    np.testing.assert_array_equal(model.sample(4, seed=1, y=2), model.sample(4, seed=1, y=[2, 2, 2, 2]))
    with pytest.raises(InvalidInput, match="4 images need 4 labels, got 2"):
        model.sample(4, y=[1, 2])
    with pytest.raises(InvalidInput, match="up to 3"):
        model.sample(4, y=3)


@pytest.mark.parametrize("array", [np.asarray, tf.constant])
def test_uint8_is_pixels_where_a_field_takes_all_of_zero_to_one(array):
    value = array(np.zeros((2, 3), "uint8"))
    for taken in ({}, {"minimum": 0.0, "maximum": 1.0}, {"minimum": -1.0, "maximum": 1.0}, {"role": "target"}):
        assert are_pixels(value, FieldSpec((3,), **taken))
        assert not are_pixels(array(np.zeros((2, 3), "float32")), FieldSpec((3,), **taken))
    for other in ({"minimum": 0.5}, {"maximum": 0.5}, {"dtype": "int32"}, {"role": "mask"}, {"role": "weight"}):
        assert not are_pixels(value, FieldSpec((3,), **other))


# ---------------------------------------------------------------- targets and weights

MODELS = ["vae", "m2", "lvae", "jmvae"]


def batch_of(name, rows):
    return {"x": X[rows], "y": Y[rows]} if name in ("m2", "jmvae") else {"x": X[rows]}


@pytest.mark.parametrize("name", MODELS)
def test_a_weight_of_two_is_the_row_twice_and_of_zero_is_none(name):
    model = compiled(name, **({"alpha": 0.0} if name == "m2" else {}))
    rows = np.arange(8)
    weights = np.array([2.0, 0, 1, 0, 3, 1, 0, 1])
    seed, inputs = tf.constant([1, 2]), model.fields(batch_of(name, rows))
    weighted = model.forward({**inputs, "sample_weight": tf.constant(weights, tf.float32)}, seed, training=False)
    plain = model.forward(inputs, seed, training=False)
    expected = -np.mean(weights * model.objective(plain.trace).numpy())
    assert float(model.cost(weighted)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", tiered(["vae", "m2"], {"m2"}.__contains__))
def test_weights_are_used_in_every_form_and_in_the_printed_means(name):
    weights = np.where(np.arange(64) < 32, 1.0, 0.0)
    data = batch_of(name, np.arange(64))
    model = compiled(name)
    rows = [
        model.evaluate(batch_of(name, np.arange(k, k + 32)), batch_size=32, verbose=0, return_dict=True)
        for k in (0, 32)
    ]
    half = model.evaluate(data, sample_weight=weights, batch_size=32, verbose=0, return_dict=True)
    assert half["elbo"] == pytest.approx(rows[0]["elbo"], rel=1e-5)
    assert half["elbo"] != pytest.approx(rows[1]["elbo"], rel=1e-5)
    expected = fitted(data, name=name, sample_weight=weights, batch_size=8)
    assert not same(expected, fitted(data, name=name, batch_size=8))
    assert same(expected, fitted(data, name=name, sample_weight=weights.astype("uint8"), batch_size=8))
    for form in (
        tf.data.Dataset.from_tensor_slices({**data, "sample_weight": weights}).batch(8),
        stream(data, data["x"], weights),
    ):
        assert same(expected, fitted(form, name=name))


@pytest.mark.slow
def test_weights_of_classes_are_weights_of_their_rows():
    weights = np.where(Y == 1, 5.0, 1.0)
    expected = fitted(X, Y, name="m2", sample_weight=weights, batch_size=8)
    for data in ((X, Y), ({"x": X, "y": np.eye(3)[Y]},), (stream(X, Y),), (stream({"x": X, "y": Y}),)):
        size = {} if isinstance(data[0], tf.data.Dataset) else {"batch_size": 8}
        assert same(expected, fitted(*data, name="m2", class_weight={1: 5.0}, **size))
    unknown = np.where(np.arange(64) % 2, -1, Y)
    weights = np.where(unknown == 1, 5.0, 1.0)
    expected = fitted(X, unknown, name="m2", sample_weight=weights, batch_size=8)
    assert same(expected, fitted(X, unknown, name="m2", class_weight={1: 5.0}, batch_size=8))
    for arguments, message in (
        ({"name": "vae", "class_weight": {1: 2.0}}, "this model takes none"),
        ({"name": "m2", "class_weight": {3: 2.0}}, "classes 0..2"),
        ({"name": "m2", "class_weight": {1: -2.0}}, "weight from 0"),
        ({"name": "m2", "class_weight": {1: 2.0}, "sample_weight": weights}, "give one of them"),
    ):
        with pytest.raises(InvalidInput, match=message):
            fitted(*((X,) if arguments["name"] == "vae" else (X, Y)), **arguments)


@pytest.mark.parametrize("weights", [-np.ones(64), np.full(64, np.nan), np.ones(63), np.ones((64, 2))])
def test_weights_that_make_no_sense_are_refused(weights):
    with pytest.raises(InvalidInput):
        compiled().fit(X, sample_weight=weights, verbose=0)


@pytest.mark.parametrize("name", tiered(["vae", "lvae", "vamp_vae"], {"vae"}.__contains__))
def test_a_target_is_what_the_likelihood_scores(name):
    """Denoising (Im et al. 2017): E_q(z | noisy) log p(clean | z) - KL(q(z | noisy) || p)."""
    noisy, model = np.clip(X + 0.3, 0, 1), compiled(name)
    seed = tf.constant([1, 2])
    fields = model.fields((noisy[:8], X[:8]))
    trace = model.forward(fields, seed, training=False).trace
    plain = model.forward(model.fields(noisy[:8]), seed, training=False)
    scored = plain.likelihood["x"].log_prob(X[:8])
    np.testing.assert_allclose(trace.log_likelihood["x"], scored, rtol=1e-5)
    np.testing.assert_allclose(
        trace.log_posterior[model.latent_names[0]], plain.trace.log_posterior[model.latent_names[0]]
    )
    if name == "vae":
        expected = fitted(noisy, X, batch_size=8)
        assert same(expected, fitted(stream(noisy, X)))
        assert same(expected, fitted(tf.data.Dataset.from_tensor_slices({"x": noisy, "target": X}).batch(8)))
        assert not same(expected, fitted(noisy, batch_size=8))
        assert same(fitted(X, X, batch_size=8), fitted(X, batch_size=8))


def test_a_stream_brings_its_own_targets_and_weights():
    with pytest.raises(InvalidInput, match="leave out y, sample_weight"):
        compiled().fit(stream(X), sample_weight=np.ones(64), verbose=0)


# ---------------------------------------------------------------- parts of one's own, and Keras' settings

SEQUENTIAL = {"linear": None, "sigmoid": "bounded", "tanh": "bounded", "softmax": "bounded"}


@pytest.mark.parametrize("activation", SEQUENTIAL)
@pytest.mark.parametrize("likelihood", ["bernoulli", "normal"])
def test_a_decoder_that_ends_in_a_bounded_activation_is_refused_where_numbers_are_unbounded(activation, likelihood):
    layers = [keras.layers.Dense(8, "tanh"), keras.layers.Dense(16, activation), keras.layers.Reshape((4, 4, 1))]
    decoder = keras.Sequential([keras.layers.Input((3,)), *layers])
    if SEQUENTIAL[activation] and likelihood == "bernoulli":
        with pytest.raises(InvalidInput, match="logits"):
            small("vae", decoder=decoder, likelihood=likelihood)
    else:
        small("vae", decoder=decoder, likelihood=likelihood)


@keras.saving.register_keras_serializable("tests")
class Probabilities(keras.layers.Layer):
    """A decoder whose sigmoid nobody sees from outside."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(16)

    def build(self, shape):
        self.dense.build(shape)

    def call(self, z):
        return tf.sigmoid(tf.reshape(self.dense(z), [-1, 4, 4, 1]))


def test_a_bounded_decoder_is_known_by_its_values_too():
    with pytest.raises(InvalidInput, match="logits"):
        small("vae", decoder=Probabilities())
    zeros = [keras.layers.Dense(16, kernel_initializer="zeros"), keras.layers.Reshape((4, 4, 1))]
    small("vae", decoder=keras.Sequential(zeros))


def test_a_loss_that_explodes_and_stays_finite_is_warned_of_with_its_epoch():
    model = compiled("vae", likelihood="normal", data_shape=(4, 4, 1))
    model.compile(keras.optimizers.SGD(1e-9))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model.fit(X, epochs=2, verbose=0)
    raise_loss = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: model.beta.assign(1e6) if epoch == 2 else None
    )
    with pytest.warns(UserWarning, match="epoch 3: the loss has gone from .* up to"):
        model.fit(X, epochs=4, verbose=0, callbacks=[raise_loss])


def test_channels_first_and_misspelt_activations_are_told():
    with pytest.raises(InvalidInput, match="did you mean relu"):
        small("vae", encoder={"name": "mlp", "activation": "rleu"})
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(InvalidInput, match="channels_last"):
            small("vae")
    finally:
        keras.config.set_image_data_format("channels_last")


def test_fit_goes_on_while_another_thread_predicts():
    import threading
    import time

    model = small("vae", data_shape=(4, 4, 1))
    model.compile("adam", jit_compile=False)
    x = np.random.RandomState(0).rand(640, 4, 4, 1).round().astype("float32")

    class Serve(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.beside = threading.Thread(target=lambda: self.model.predict(x, batch_size=1, verbose=0))
            self.beside.start()
            time.sleep(0.1)

        def on_train_end(self, logs=None):
            self.beside.join()

    model.predict(x[:2], verbose=0)
    model.fit(x, epochs=3, verbose=0, callbacks=Serve())
    assert int(model.steps) == 60
    model.fit(x, epochs=3, verbose=0, callbacks=[[keras.callbacks.EarlyStopping("loss", patience=9)]])
    assert int(model.steps) == 120


def test_held_out_rows_are_not_weighed_by_their_class():
    model = small("m2")
    x = np.random.RandomState(0).rand(40, *model.data_spec["x"].shape).round().astype("float32")
    y = np.arange(40) % model.num_classes
    weights = {label: 5.0 * (label == 0) for label in range(model.num_classes)}
    model.compile(keras.optimizers.SGD(0.0), jit_compile=False)
    split = model.fit(x, y, validation_split=0.5, class_weight=weights, verbose=0).history["val_loss"]
    apart = model.fit(x[:20], y[:20], validation_data=(x[20:], y[20:]), class_weight=weights, verbose=0)
    np.testing.assert_allclose(split, apart.history["val_loss"], rtol=1e-5)


def test_so_many_steps_are_evaluated_however_they_are_given():
    model = small("vae", data_shape=(4, 4, 1))
    model.compile("adam", jit_compile=False)
    x = np.random.RandomState(0).rand(320, 4, 4, 1).round().astype("float32")
    model.fit(x, verbose=0)
    data = zoo.load_dataset(x, batch_size=32, shuffle=False).repeat()
    assert model.evaluate(data, steps=3, verbose=0)[0] == model.evaluate(data, None, None, 0, None, 3)[0]
    optimizer = keras.optimizers.serialize(keras.optimizers.Adam(1e-3))
    model.compile(optimizer=optimizer)
    assert isinstance(model.optimizer, keras.optimizers.Adam)
