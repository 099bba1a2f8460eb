"""`zoo train`: train, resume or fine-tune."""

import pathlib
from typing import Annotated

import typer

from zoo.cli.app import INTERRUPTED, app, import_tensorflow, sides
from zoo.cli.checks import check_config, check_model, check_recipe, check_source
from zoo.errors import InvalidInput
from zoo.files import read_json
from zoo.pretrained import is_elsewhere, locate
from zoo.pretrained import preset as preset_of
from zoo.settings import OF_FILES, OF_NAMES, merge, overrides, without

RUN = "run.json"  # of a run's folder: everything that was asked for


SHORT = {  # options that everyone types -> the settings of --set and --recipe that they are
    "--set": ("latent_dim", "encoder"),
    "--recipe": ("epochs", "batch_size", "learning_rate"),
}


@app.command()
def train(
    model: Annotated[str | None, typer.Argument(help="A model kind: see `zoo list`.")] = None,
    preset: Annotated[str | None, typer.Option(help="A preset's name or a JSON file.")] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="A data set's name, a folder of pictures, sounds or MIDI files (sub-folders are classes), a .csv, "
            ".parquet, .npz or .npy file, or a pattern of files: 'shards/*.tfrecord'; see `zoo datasets --check`."
        ),
    ] = None,
    output: Annotated[
        pathlib.Path | None, typer.Option("--output", "-o", help="The run's folder; runs/latest if not said.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the training data; with --resume how many there are in all.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Examples per update.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="At the start.")] = None,
    latent_dim: Annotated[int | None, typer.Option(help="Units of the latent.")] = None,
    encoder: Annotated[str | None, typer.Option(help="The networks: mlp or conv; the decoder mirrors it.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Any model argument: beta=4, encoder.gated=true.")
    ] = None,
    recipe: Annotated[list[str] | None, typer.Option(help="Any recipe setting: clipnorm=1, kl.name=linear.")] = None,
    start: Annotated[str | None, typer.Option("--from", help="Fine-tune this pretrained model.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights, order and draws.")] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first training examples.")] = None,
    labels: Annotated[
        int | None, typer.Option(help="Show only so many labels, as many of each class: for m1, m2, m1_m2.")
    ] = None,
    size: Annotated[str | None, typer.Option(help="Resize pictures to HEIGHTxWIDTH: 64x64.")] = None,
    color: Annotated[str | None, typer.Option(help="Make pictures gray or rgb.")] = None,
    fit: Annotated[
        str | None, typer.Option(help="What --size does with other shapes: crop (if not said) or pad.")
    ] = None,
    column: Annotated[str | None, typer.Option(help="The column of a table that holds the pictures.")] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out the files of a folder that cannot be read, and say which.")
    ] = False,
    data_service: Annotated[
        str | None, typer.Option(help="A tf.data service that reads TFRecord files: grpc://HOST:PORT.")
    ] = None,
    deterministic: Annotated[bool, typer.Option("--deterministic", help="Bit-for-bit reproducible.")] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write TensorBoard logs too.")] = False,
    profile: Annotated[
        bool, typer.Option("--profile", help="Have TensorBoard's profiler record ten updates, from the third on.")
    ] = False,
    distribute: Annotated[
        str | None,
        typer.Option(
            help="Share each batch among devices: mirrored (all of this machine), multi_worker (those of the hosts in "
            "TF_CONFIG), or auto."
        ),
    ] = None,
    tune: Annotated[
        bool, typer.Option("--tune", help="First measure whether XLA compiles, and how many updates a call makes.")
    ] = False,
    resume: Annotated[
        str | None, typer.Option(metavar="RUN", help="Go on from the last checkpoint of this run's folder.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Empty the run's folder first.")] = False,
):
    """Train a model. Example: zoo train vae --dataset mnist --epochs 50 --latent-dim 32 --output runs/a

    Pictures of any size: zoo train vae --dataset photos/ --size 64x64 --color rgb
    """
    picture = said(size=sides(size), color=color, fit=fit, column=column, skip_bad=skip_bad or None)
    typed = said(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate)
    typed |= said(latent_dim=latent_dim, encoder=encoder)
    if resume:
        settings = {"a model kind": model, "--output": output, "--preset": preset, "--from": start, "--set": set_}
        settings |= {"--dataset": dataset, "--recipe": recipe, "--seed": seed, "--limit": limit, "--labels": labels}
        settings |= {"--overwrite": overwrite or None, "--tune": tune or None, "--data-service": data_service}
        settings |= {f"--{key.replace('_', '-')}": value for key, value in {**typed, **picture}.items()}
        settings.pop("--epochs", None)
        if given := [option for option, value in settings.items() if value is not None]:
            raise InvalidInput(f"--resume goes on with the run's own settings, so {given[0]} cannot be given with it")
    output = pathlib.Path(resume or output or "runs/latest")
    config = overrides(with_typed("--set", set_, typed))
    settings = overrides(with_typed("--recipe", recipe, typed), "--recipe")
    if resume and not distribute:  # other hosts may not have it
        read_json(output / RUN)
    if not resume:
        check_named(model, preset, start, dataset, config, settings)
    import_tensorflow()
    from zoo.training import run
    from zoo.training.cluster import strategy_of

    strategy_of(distribute)  # before all else that TensorFlow does
    if not (distribute or tune):
        share_cores(model, preset, start, output if resume else None, config, settings)
    chosen = None
    if not resume:
        chosen = laid_over(
            begun(model, preset, start, {**said(name=dataset), **picture}, config, settings, limit),
            config=config,
            recipe=settings,
            of_all=said(seed=seed, deterministic=deterministic or None),
            data=said(num_labels=labels),
            data_of_all={**said(name=dataset, limit=limit, service=data_service), **picture},
        )
    try:
        trained, _ = run.train(
            output,
            chosen,
            resume=bool(resume),
            overwrite=overwrite,
            tensorboard=tensorboard,
            profile=profile,
            epochs=epochs if resume else None,
            distribute=distribute,
            tune=tune,
        )
    except KeyboardInterrupt:
        typer.echo(f"zoo: interrupted; `zoo train --resume {output}` goes on from the last epoch", err=True)
        raise typer.Exit(INTERRUPTED) from None
    typer.echo(f"{trained.registry_name} is trained; zoo.load({str(output)!r}) and `zoo evaluate {output}` take it")


def with_typed(option, given, typed):
    """The settings that `given` of an option lists, behind those that have an option of their own.

    Raises:
        InvalidInput: one is given twice.
    """
    mine = {key: typed[key] for key in SHORT[option] if key in typed}
    for key in mine:
        if any(setting.partition("=")[0] == key for setting in given or []):
            raise InvalidInput(f"--{key.replace('_', '-')} and {option} {key} say the same: give one of them")
    return [*(f"{key}={value}" for key, value in mine.items()), *(given or [])]


def check_named(model, preset, start, dataset, config, recipe):
    """Refuse what is unknown of a training before TensorFlow is imported."""
    if sum(x is not None for x in (model, preset, start)) != 1:
        raise InvalidInput("say what to train: a model kind, --preset NAME or --from NAME (one of them)")
    if model:
        check_model(model)
        kind = model
    else:
        wanted = preset_of(preset or locate(start))
        kind = wanted.get("model")
    check_source(dataset)
    if isinstance(kind, str):
        check_config(kind, config)
    check_recipe(recipe)


def share_cores(model, preset, start, folder, config, recipe):
    """Have the cores share batches where what is trained last can, as far as that is known before the data are."""
    from zoo.creation import model_class
    from zoo.models.sharing import keep_operators_apart

    wanted = {"model": model}
    if folder:
        wanted = read_json(folder / RUN) if (folder / RUN).is_file() else {}
    elif preset or start:
        wanted = preset_of(preset or locate(start))
    wanted = {**wanted, **(wanted.get("stages") or [{}])[-1]} if "model" not in wanted else wanted
    config, recipe = {**wanted.get("config", {}), **config}, {**wanted.get("recipe", {}), **recipe}
    if wanted.get("model"):
        keep_operators_apart(model_class(wanted["model"])[0], config, recipe)


def said(**options):
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def begun(model, preset, start, chosen, config, recipe, limit):
    """The preset that a model kind, the name of a preset or that of a pretrained model stands for."""
    if preset:
        found = preset_of(preset)
        return {**found, "data": without(found["data"], OF_NAMES)} if "name" in chosen and "data" in found else found
    if start:
        home = locate(start)
        wanted = preset_of(home)
        known = str(home) if is_elsewhere(start) else start
        kept = without(wanted["data"], OF_FILES) if "name" in chosen else {"division": "position", **wanted["data"]}
        data = kept  # those of cards of before are divided as they were
        return {**{key: wanted[key] for key in ("model", "config")}, "data": data, "from": known}
    from zoo.training.defaults import suggest

    data = {"name": "digits", "split": "train", "validation": "validation", **chosen}
    suggested, settings = suggest(model, {**data, **said(limit=limit)}, config.get("likelihood"), recipe)
    return {"model": model, "config": suggested, "data": data, "recipe": settings}


def laid_over(chosen, config, recipe, of_all, data, data_of_all):
    """A preset with what the command line says over it; `of_all` and `data_of_all` are over its stages too."""
    from zoo.training import Recipe

    stages = [
        {**s, "recipe": {**s.get("recipe", {}), **of_all}, "data": {**s.get("data", {}), **data_of_all}}
        for s in chosen.get("stages", [])
    ]
    if config:
        defaults = defaults_of(chosen["model"]) if "model" in chosen else {}
        chosen = {**chosen, "config": merge(chosen.get("config", {}), config, defaults)}
    return {
        **chosen,
        "recipe": {**merge(chosen.get("recipe", {}), recipe, vars(Recipe())), **of_all},
        "data": {**chosen.get("data", {}), **data, **data_of_all},
        **({"stages": stages} if stages else {}),
    }


def defaults_of(model):
    """Argument -> default of a model kind."""
    from zoo.creation import model_class

    cls, defaults = model_class(model)
    return {**cls.argument_defaults(), **defaults}
