"""`zoo train`: train, resume or fine-tune."""

import pathlib
from typing import Annotated

import typer

from zoo.cli.app import INTERRUPTED, app, import_tensorflow, sides
from zoo.errors import InvalidInput
from zoo.files import read_json
from zoo.pretrained import is_elsewhere, locate
from zoo.pretrained import preset as preset_of
from zoo.settings import OF_FILES, OF_NAMES, merge, overrides, without


@app.command()
def train(
    model: Annotated[
        str | None, typer.Argument(help="A model kind (`zoo list`); with --resume the run's folder.")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="A preset's name or a JSON file.")] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="A data set's name, a folder of pictures, sounds or MIDI files (sub-folders are classes), a .csv, "
            ".parquet, .npz or .npy file, or a pattern of files: 'shards/*.tfrecord'; see `zoo datasets --check`."
        ),
    ] = None,
    output: Annotated[pathlib.Path, typer.Option("--output", "-o", help="The run's folder.")] = pathlib.Path(
        "runs/latest"
    ),
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the training data; with --resume how many there are in all.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="A model argument: latent_dim=32, encoder.gated=true.")
    ] = None,
    recipe: Annotated[
        list[str] | None, typer.Option(help="A recipe setting: learning_rate=0.002, kl.name=linear.")
    ] = None,
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
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Empty the run's folder first.")] = False,
):
    """Train a model. Example: zoo train vae --dataset mnist --epochs 50 --output runs/a --set latent_dim=32

    Pictures of any size: zoo train vae --dataset photos/ --size 64x64 --color rgb --set encoder=conv
    """
    picture = said(size=sides(size), color=color, fit=fit, column=column, skip_bad=skip_bad or None)
    if resume:
        settings = {"--preset": preset, "--from": start, "--dataset": dataset, "--set": set_, "--recipe": recipe}
        settings |= {"--seed": seed, "--limit": limit, "--labels": labels, "--overwrite": overwrite or None}
        settings |= {"--tune": tune or None}
        settings |= {"--data-service": data_service, **{f"--{key}": value for key, value in picture.items()}}
        if given := [option for option, value in settings.items() if value is not None]:
            raise InvalidInput(f"--resume goes on with the run's own settings, so {given[0]} cannot be given with it")
        output = pathlib.Path(model) if model else output
    import_tensorflow()
    from zoo.training import run
    from zoo.training.cluster import strategy_of

    strategy_of(distribute)  # before all else that TensorFlow does
    if not (distribute or tune):
        share_cores(model, preset, start, output if resume else None, overrides(set_), overrides(recipe, "--recipe"))
    chosen = None
    if not resume:
        chosen = laid_over(
            begun(model, preset, start, {**said(name=dataset), **picture}, set_),
            config=overrides(set_),
            recipe=overrides(recipe, "--recipe") | said(epochs=epochs),
            of_all=said(seed=seed, deterministic=deterministic or None),
            data=said(num_labels=labels),
            data_of_all={**said(name=dataset, limit=limit, service=data_service), **picture},
        )
    try:
        trained, _ = run.train(
            output,
            chosen,
            resume=resume,
            overwrite=overwrite,
            tensorboard=tensorboard,
            profile=profile,
            epochs=epochs if resume else None,
            distribute=distribute,
            tune=tune,
        )
    except KeyboardInterrupt:
        typer.echo(f"zoo: interrupted; `zoo train --resume --output {output}` goes on from the last epoch", err=True)
        raise typer.Exit(INTERRUPTED) from None
    typer.echo(f"{trained.registry_name} is trained; zoo.load({str(output)!r}) and `zoo evaluate {output}` take it")


def share_cores(model, preset, start, folder, config, recipe):
    """Have the cores share batches where what is trained last can, as far as that is known before the data are."""
    from zoo.creation import model_class
    from zoo.models.sharing import keep_operators_apart
    from zoo.training.run import RUN

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


def begun(model, preset, start, chosen, set_):
    """The preset that a model kind, the name of a preset or that of a pretrained model stands for."""
    if sum(x is not None for x in (model, preset, start)) != 1:
        raise InvalidInput("say what to train: a model kind, --preset NAME or --from NAME (one of them)")
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
    from zoo.training.data import suggest_config

    data = {"name": "digits", "split": "train", "validation": "validation", **chosen}
    likelihood = overrides(set_).get("likelihood")
    config = suggest_config(model, data, likelihood)
    return {"model": model, "config": config, "data": data}


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
