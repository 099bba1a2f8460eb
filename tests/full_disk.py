"""A process whose files cannot grow: `python full_disk.py FOLDER` prints what each way to write says, as JSON."""

import json
import pathlib
import resource
import sys


def main(folder):
    from support import small

    import zoo
    from zoo.training.checkpoint import Checkpoint

    model = small("vae", encoder={"name": "mlp", "hidden_units": [100]})
    model.compile("adam")
    checkpoint = Checkpoint(folder, {})
    checkpoint.set_model(model)
    ways = {
        "save": lambda: zoo.save(model, folder / "m", overwrite=True),
        "save_weights": lambda: model.save_weights(folder / "m.weights.h5"),
        ".keras": lambda: model.save(folder / "m.keras"),
        "checkpoint": lambda: checkpoint.on_epoch_end(0),
        "SavedModel": lambda: zoo.export_saved_model(model, folder / "exported"),
        "TFLite": lambda: zoo.export_tflite(model, folder / "m.tflite"),
    }
    zoo.save(model, folder / "m")
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))
    said = {}
    for name, write in ways.items():
        try:
            write()
            said[name] = "done"
        except zoo.errors.CannotWrite as error:
            said[name] = str(error)
    print(json.dumps(said))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
