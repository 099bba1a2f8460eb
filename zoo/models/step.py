"""The training step of every model: its players, updates that are finite, and the terms that `fit` prints."""

import keras
import tensorflow as tf

from zoo.data.spec import WEIGHT
from zoo.errors import InvalidInput
from zoo.models.doors import Doors, is_single
from zoo.models.metrics import ActiveUnits, Tally
from zoo.models.sharing import side_by_side
from zoo.models.updates import FUSED, apply_if, listens, together
from zoo.objectives.adversaries import Player
from zoo.replicas import everywhere, mean, num_replicas, over_replicas, whole_batch


class Step(Doors):
    """What Keras' `compile`, `fit`, `evaluate` and `predict` do with a model; mixed into `LatentVariableModel`."""

    skip_norm = None
    several = False  # whether `fit` decides how many updates a call makes
    schedules = {}  # name of a scalar -> its schedule in the training graph

    def make_metrics(self):
        """A mean for every printed term, and the active units of each latent."""
        several, bound = len(self.latent_names) > 1, "bound" in self.capabilities
        kl = ["elbo", "kl"] + [f"kl_{latent}" for latent in self.latent_names if several]
        self.term_metrics = {}
        self.print_terms("loss", "reconstruction", *(kl if bound else []), *self.penalty_terms())
        units = self.latent_names if bound else ()
        self.unit_metrics = {n: ActiveUnits(f"active_units_{n}" if several else "active_units") for n in units}
        self.skipped = keras.metrics.Sum(name="skipped")
        self.tally = Tally()

    def print_terms(self, *names):
        """Add means of terms to what `fit` prints."""
        self.term_metrics |= {name: keras.metrics.Mean(name=name) for name in names if name not in self.term_metrics}

    def penalty_terms(self):
        """The names under which penalties, and the costs of adversaries, are printed."""
        players = [player.name for penalty in self.penalties for player in penalty.players(self)]
        return [*(penalty.name for penalty in self.penalties), *(f"{name}_cost" for name in players)]

    # The game

    def objective(self, trace):
        """[B]: what training maximises."""
        return trace.row_weight * self.bound(trace.temper(self.beta))

    def cost(self, p, objective=None):
        """What the model minimises on a `Pass`: the penalties, minus the mean objective."""
        paid = sum(tf.convert_to_tensor(penalty.weight) * p.paid[penalty.name] for penalty in self.penalties)
        return mean(p.inputs.get(WEIGHT, 1.0) * paid - (objective or self.objective)(p.trace))

    def players(self):
        """Who minimises what: the model, where the bound asks for it its two halves apart, and each adversary."""
        others = [player for penalty in self.penalties for player in penalty.players(self)]
        taken = {id(v) for player in others for v in player.variables}
        own = [v for v in self.trainable_variables if id(v) not in taken]
        inference = self.bound.func.for_inference
        if inference is None:
            return [Player("model", self.cost, own, self.optimizer), *others]

        def objective(trace):
            return trace.row_weight * inference(trace.temper(self.beta), **self.bound.keywords)

        of_inference = {id(v) for layer in self.inference_layers for v in layer.trainable_variables}
        halves = [[v for v in own if (id(v) in of_inference) == half] for half in (False, True)]
        return [
            Player("model", self.cost, halves[0], self.optimizer),
            Player("inference", lambda p: self.cost(p, objective), halves[1], self.optimizer),
            *others,
        ]

    # Keras

    def compile(self, optimizer="rmsprop", *args, skip_norm=None, steps_per_execution=None, **kwargs):
        """Keras' `compile`: the optimiser is the model's own, adversaries bring theirs.

        Args:
            optimizer: as Keras takes it; of the names "adam" and "adamw" become `FusedAdam` and `FusedAdamW`.
            skip_norm: None, or the norm of the whole gradient above which an update is left out, as those are that are
                not finite.
            steps_per_execution: updates that a call into TensorFlow makes, between which no callback is called. None
                has `fit` take up to 20, and 1 where a callback listens to batches.
        """
        if skip_norm is not None and not skip_norm > 0:
            raise InvalidInput(f"skip_norm must be positive, got {skip_norm!r}")
        self.build()
        optimizer = FUSED[optimizer]() if isinstance(optimizer, str) and optimizer in FUSED else optimizer
        super().compile(optimizer, *args, steps_per_execution=steps_per_execution or 1, **kwargs)
        object.__setattr__(self, "test_functions", {})
        with self.graphs_lock:
            self.graphs.clear()  # layers may have been changed
        self.several = steps_per_execution is None
        if skip_norm is not None and isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            raise InvalidInput("skip_norm is a norm of gradients as they are: compile without a scale of the loss")
        self.skip_norm = skip_norm
        for penalty in self.penalties:
            penalty.compile(mixed=self.dtype_policy.name == "mixed_float16")
        mine = {id(v) for p in self.players() if p.optimizer is self.optimizer for v in p.variables}
        self.optimizer.build([v for v in self.trainable_variables if id(v) in mine])

    # A thread that takes one batch a call (`one_a_call`) has a count and a graph of its own: `fit` may be in another.

    @property
    def steps_per_execution(self):
        return 1 if is_single(self) else self.updates_a_call

    @steps_per_execution.setter
    def steps_per_execution(self, value):
        object.__setattr__(self, "updates_a_call", value)

    @property
    def test_function(self):
        return self.test_functions.get(is_single(self))

    @test_function.setter
    def test_function(self, value):
        if value is None:
            object.__setattr__(self, "test_functions", {})
        else:
            self.test_functions[is_single(self)] = value

    def get_compile_config(self):
        config = super().get_compile_config()
        open_ones = {"steps_per_execution": None} if self.several else {}
        return config and {**config, "skip_norm": self.skip_norm, **open_ones}

    def follow(self, callbacks, number=None, *exactly):
        """Prepare the graph of a loop with these callbacks, of batches as `together` takes them.

        Schedules are a part of it, and the number of updates a call makes.
        """
        schedules = {callback.moves: callback for callback in callbacks if getattr(callback, "moves", None)}
        count = self.steps_per_execution
        if self.several and (
            self.run_eagerly or self.distribute_strategy.num_replicas_in_sync > 1 or any(map(listens, callbacks))
        ):
            count = 1
        elif self.several and (count == 1 or any(exactly)):  # a graph that is there serves data with an end
            count = together(number, *exactly)
        if count != self.steps_per_execution or schedules != self.schedules:
            self.train_function = self.test_function = None
        self.steps_per_execution, self.schedules = count, schedules

    def compile_from_config(self, config):
        """Compile as a saved model was: Keras leaves that to whoever has a `compile` of their own."""
        self.compile(**keras.saving.deserialize_keras_object(config))

    def step_seed(self):
        """int32 [2]: of the model's seed and the step."""
        return self.seed_of(17, self.steps)

    def seed_of(self, use, number):
        """int32 [2]: of the model's seed, what the numbers are for, and the step or batch; the same on all replicas."""
        seed = tf.random.fold_in(tf.constant([use, self.seed], tf.int32), tf.convert_to_tensor(number), alg="philox")
        return tf.random.fold_in(seed, 0, alg="philox")  # once the replica; so that draws stay as they were

    def train_step(self, batch):
        with whole_batch(batch):
            return self.learn(batch)

    def learn(self, batch):
        """An update by a batch, or by this replica's rows of it: the logs."""
        for name, schedule in self.schedules.items():
            self.scalars[name].assign(tf.cast(schedule.at(tf.convert_to_tensor(self.steps)), tf.float32))
        noise_seed, draw_seed = tf.unstack(tf.random.split(self.step_seed(), 2, alg="philox"))
        inputs, fit = self.enter(batch, noise_seed, training=True)
        kept = {id(v) for v in (self.steps, *self.scalars.values())}
        statistics = [v for v in self.non_trainable_weights if id(v) not in kept]
        before = [tf.convert_to_tensor(v) for v in statistics]
        p, costs, moves = self.gradients(inputs, draw_seed)
        # One sum of squares: what overflows it would overflow Adam's second moments too.
        squares = [tf.nn.l2_loss(g) for _, gradients, _ in moves for g in gradients if g is not None]
        fits = fit & tf.math.is_finite(sum(costs.values()) + tf.add_n(squares))
        if self.skip_norm is not None:
            fits &= self.norm_of(moves) <= self.skip_norm
        finite = everywhere(fits)
        with tf.control_dependencies([finite]):  # and so not after the last batch, where the iterator's end is an error
            self.steps.assign_add(1)
        apply_if(finite, moves)
        for variable, old in zip(statistics, before, strict=True):  # of batch normalisation
            variable.assign(tf.where(finite, tf.convert_to_tensor(variable), old))
        return self.update_metrics(p, costs, finite)

    @staticmethod
    def norm_of(moves):
        """The norm of the whole gradient, over all replicas."""
        found = [g for _, gradients, _ in moves for g in gradients if g is not None]
        return tf.linalg.global_norm([over_replicas(g) for g in found])

    def enter(self, batch, seed, training):
        """(a batch as the model's inputs, whether all of its rows fit), with those that do not counted."""
        fields = self.fields(batch)
        unfit = self.unfit(batch, fields)
        self.tally.update_state(unfit)
        return self.as_binary(fields, seed, training), tf.reduce_sum(unfit) == 0

    def gradients(self, inputs, seed):
        """(the `Pass`, {player: its cost}, [(optimiser, gradients, variables)], an entry an optimiser)."""
        players = self.players()
        with tf.GradientTape(persistent=len(players) > 1) as tape:
            p = self.forward(inputs, seed, training=True)
            costs = {player.name: player.cost(p) for player in players}
            rows = tf.cast(tf.shape(p.trace.log_mass)[2], tf.float32)
            share = rows / over_replicas(rows)
            totals = [self.total(costs[player.name], player.optimizer, share) for player in players]
        found, moves = {}, []
        for player, total in zip(players, totals, strict=True):
            pairs = zip(player.variables, tape.gradient(total, player.variables), strict=True)
            found |= {id(v): (v, g, player.optimizer) for v, g in pairs}
        for optimizer in {id(player.optimizer): player.optimizer for player in players}.values():
            mine = [found[id(v)] for v in self.trainable_variables if found[id(v)][2] is optimizer]
            moves.append((optimizer, [g for _, g, _ in mine], [v for v, _, _ in mine]))
        return p, costs, moves

    def forward(self, inputs, seed, training):
        """The `Pass` of a batch, with what the bound needs in training, and what the penalties say of it."""
        needs = [need for need in self.bound.func.needs if training or need != "path"]  # which serves a gradient alone
        p = side_by_side(self, inputs, training=training, seed=seed, needs=needs)
        if WEIGHT in inputs:
            p = p._replace(trace=p.trace._replace(row_weight=p.trace.row_weight * inputs[WEIGHT]))
        return p._replace(paid=p.paid | {penalty.name: penalty(p, self) for penalty in self.penalties})

    def total(self, cost, optimizer, share):
        """A cost with the layers' regularisers, scaled for mixed precision and by a replica's share of the batch."""
        return optimizer.scale_loss(share * (cost + sum(self.losses)))

    def test_step(self, batch):
        # Each batch has draws of its own, and two evaluations of the same weights the same ones.
        seed = self.seed_of(23, self.tally.batches)
        with whole_batch(batch):
            inputs, _ = self.enter(batch, None, training=False)
            p = self.forward(inputs, seed, training=False)
            costs = {player.name: player.cost(p) for player in self.players()}
            return self.update_metrics(p, costs, tf.constant(True))  # what is not finite must show

    def predict_step(self, batch):
        inputs, _ = self.enter(batch, None, training=False)
        return self.reconstruct(**{name: inputs[name] for name in self.data_spec})

    # What is printed

    def update_metrics(self, p, costs, finite):
        """Update one mean per term with the finite steps, and return the logs of all."""
        rows = p.inputs.get(WEIGHT, tf.ones(tf.shape(p.trace.log_mass)[2:]))
        weight = tf.cast(finite, tf.float32) * tf.reduce_sum(rows)
        self.skipped.update_state(tf.cast(~finite, tf.float32) / num_replicas())
        terms = {"loss": costs["model"], **self.terms(p.trace), **p.paid}
        terms |= {f"{name}_cost": cost for name, cost in costs.items()}
        sums = {metric: tf.reduce_sum(rows * terms[term]) for term, metric in self.term_metrics.items()}
        for name in p.trace.kl_per_unit.keys() & self.unit_metrics.keys():
            units = p.trace.kl_per_unit[name]
            sums[self.unit_metrics[name]] = tf.linalg.matvec(units, rows, transpose_a=True)
        for metric, value in sums.items():  # a step's mean times its weight: Keras' way there is a dozen operations
            metric.total.assign_add(tf.where(finite, value, 0.0))
            metric.count.assign_add(weight)
        return self.get_metrics_result()

    def terms(self, trace):
        """Name -> [B] of what `fit` prints: elbo = reconstruction - kl to rounding, whatever bound is trained."""
        kl = trace.kl
        each = {f"kl_{name}": value for name, value in kl.items()}
        total = sum(kl.values()) - trace.entropy
        return {"elbo": trace.reconstruction - total, "reconstruction": trace.reconstruction, "kl": total, **each}

    def get_metrics_result(self):
        logs = super().get_metrics_result()
        return {name: value for name, value in logs.items() if value is not None}
