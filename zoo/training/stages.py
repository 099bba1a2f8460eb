"""What a preset trains, stage by stage.

A preset is {"model", "config", "data", "recipe"}, and may begin from another model: its "from" is the name or folder of
a pretrained one, or the name of one of its "stages", entries of the same form that are trained before it, in their
order. (A preset may also be nothing but "stages", of which the last is the preset then.) Models of one class, such as
`vae` and `iwae`, take over the weights, and the config where the preset says nothing else; a model of another class, or
with another prior, takes over the networks that both have (`LatentVariableModel.take`). With `kept` in its recipe the
last stage can so fit a prior to the codes of the first:

    {"stages": [{"name": "codes", "model": "vae", ...}],
     "model": "vae", "from": "codes", "config": {"prior": "flow"},
     "recipe": {"kept": ["encoder", "posterior", "decoder"]}, ...}
"""

import glob
import os
import pathlib
from typing import NamedTuple

from zoo import pretrained
from zoo.creation import create, model_class
from zoo.data import list_datasets
from zoo.errors import InvalidInput, nearest
from zoo.pretrained.store import PRESET, stage_name
from zoo.registry import check_arguments
from zoo.training.recipe import Recipe


class Stage(NamedTuple):
    """One training: what it is called, where its run is, what is trained and how.

    `origin` is the name or folder of the model it begins from, or None, `begin` the name by which the preset calls it,
    and `goes_on` says whether that is a model of the same class. `entry` is what the preset says of the stage, and
    `data` its data with their place as it is seen from here.
    """

    name: str
    folder: pathlib.Path
    model: str
    config: dict
    recipe: Recipe
    begin: str | None
    origin: str | pathlib.Path | None
    goes_on: bool
    entry: dict
    data: dict

    def build(self, source=None):
        """The stage's model, with what it takes over from `source`, the model that it begins from."""
        model = create(self.model, **self.config)
        if source is not None:
            theirs, ours = source.own_weights, model.own_weights  # a stage may have penalties of its own
            if self.goes_on and [w.shape for w in theirs] == [w.shape for w in ours]:
                for weight, value in zip(ours, theirs, strict=True):
                    weight.assign(value)
            else:
                model.take(source)
        self.recipe.keep(model)
        return model


def stages_of(directory, preset, begun_in=None):
    """The stages of a preset, each checked as far as that goes without its data; the last one's folder is `directory`.

    Args:
        begun_in: the folder from which the preset's relative paths lead, None for this one.

    Raises:
        InvalidInput: keys that a preset has not, stages of one name or without one, a stage that begins from a later
            one, a wrong recipe.
    """
    earlier, last = preset.get("stages", []), {key: value for key, value in preset.items() if key != "stages"}
    names = [stage_name(entry) for entry in (*earlier, *([last] if "name" in last else []))]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InvalidInput(f"two stages are called {twice[0]!r}: give each a name of its own")
    stages = {}
    for entry in (*earlier, last):
        name = entry.get("name")
        folder = directory if entry is last else directory / name
        stages[name] = stage_of(name, folder, entry, stages, names, begun_in)
    return list(stages.values())


def stage_of(name, folder, entry, earlier, names, begun_in):
    """A `Stage` of an entry, which may begin from one of the stages `earlier`."""
    owner = f"stage {name!r}" if name else "a preset"
    check_arguments(owner, entry, ["name", *(key for key in PRESET if key != "stages")])
    begin, config, recipe = entry.get("from"), entry.get("config", {}), Recipe.of(entry.get("recipe", {}))
    for key in ("data",) if begin else ("model", "data"):
        if key not in entry:
            raise InvalidInput(f"{owner} lacks {key!r}; it takes {', '.join(PRESET)}")
    if "name" not in entry["data"]:
        raise InvalidInput(f"the data of {owner} lack a name, of a data set, a folder or a file")
    model, origin, goes_on = entry.get("model"), None, False
    data = {**entry["data"], "name": located(entry["data"]["name"], begun_in, list_datasets())}
    if begin:
        begin = located(begin, begun_in, [*names, *pretrained.list_pretrained()])
        origin, its_model, its_config = origin_of(begin, owner, earlier, names)
        model = model or its_model
        goes_on = model_class(model)[0] is model_class(its_model)[0]
        config = {**its_config, **config} if goes_on else config
    config = {"seed": recipe.seed, **config}
    return Stage(name, folder, model, config, recipe, begin, origin, goes_on, entry, data)


def located(path, folder, names):
    """A path that leads from a folder, seen from here; those of `names`, and what that folder has not, as they are."""
    if folder is None or path in names or os.path.abspath(folder) == os.getcwd():
        return path
    there = os.path.join(folder, path)
    return there if os.path.exists(there) or glob.glob(os.path.join(glob.escape(folder), path)) else path


def origin_of(begin, owner, earlier, names):
    """(folder or name, model, config) of the earlier stage or the pretrained model that a stage begins from."""
    if begin in earlier:
        return earlier[begin].folder, earlier[begin].model, earlier[begin].config
    if begin in names:
        raise InvalidInput(f"{owner} begins from the stage {begin!r}, which is not trained before it")
    known = [*earlier, *pretrained.list_pretrained()]
    here = begin in known or pretrained.is_elsewhere(begin) or (pathlib.Path(begin) / "card.json").is_file()
    if not here:
        raise InvalidInput(f"{owner} begins from {begin!r}, no earlier stage and no model; {nearest(begin, known)}")
    card = pretrained.read_card(begin)
    return begin, card["model"], card["config"]
