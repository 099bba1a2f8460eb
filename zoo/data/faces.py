"""Faces that the project draws itself, in colour: a picture data set that needs no download and no licence."""

import numpy as np

SIDE, CHUNK = 64, 20  # pixels, and faces drawn at once, few enough for the cache of a processor
MOODS = ("calm", "happy", "sad", "surprised")
SKINS = ((255, 224, 196), (241, 194, 150), (214, 156, 108), (160, 104, 66), (104, 66, 44))
HAIRS = ((28, 24, 24), (90, 56, 30), (160, 100, 48), (226, 186, 100), (186, 70, 36), (190, 190, 196))


def draw_faces(count, seed=0):
    """{"x": uint8 [count, 64, 64, 3], "y": int32 [count], the mood: a place in MOODS} of faces, the same each time."""
    random = np.random.RandomState(seed)
    drawn = [draw(random, min(CHUNK, count - start)) for start in range(0, count, CHUNK)]
    return {name: np.concatenate([part[name] for part in drawn]) for name in ("x", "y")}


def draw(random, count):
    """As `draw_faces`, of the next faces of a generator."""

    def between(low, high):
        return random.uniform(low, high, [count, 1, 1]).astype("float32")

    def of(colours, spread):
        """A colour [count, 1, 1, 3] between two neighbours of a row of colours, with some noise."""
        place = random.uniform(0, len(colours) - 1, count)
        channels = [np.interp(place, np.arange(len(colours)), channel) for channel in np.transpose(colours)]
        mixed = np.stack(channels, -1) + random.uniform(-spread, spread, [count, 3])
        return (np.clip(mixed, 0, 255) / 255).astype("float32")[:, None, None]

    y, x = (np.mgrid[:SIDE, :SIDE].astype("float32")[:, None] + 0.5) / SIDE * 2 - 1  # -1 to 1, down and to the right
    mood = random.randint(len(MOODS), size=count)
    happy, sad, surprised = ((mood == MOODS.index(name))[:, None, None] for name in MOODS[1:])
    x, y = x - between(-0.08, 0.08), y - between(-0.04, 0.1)
    tilt = between(-0.15, 0.15)
    x, y = x * np.cos(tilt) + y * np.sin(tilt), y * np.cos(tilt) - x * np.sin(tilt)
    wide, high = between(0.46, 0.62), between(0.58, 0.7)
    skin, hair, iris = of(SKINS, 10), of(HAIRS, 8), of(((70, 110, 180), (60, 130, 90), (96, 62, 36)), 15)
    shirt = random.uniform(0.15, 0.95, [count, 1, 1, 3]).astype("float32")
    picture = random.uniform(0.45, 1, [count, 1, 1, 3]).astype("float32") * (0.92 - 0.08 * y)[..., None]

    def put(colour, coverage):
        nonlocal picture
        picture = picture + (colour - picture) * np.clip(coverage, 0, 1)[..., None]

    def ellipse(across, down, half_width, half_height):
        """How far a pixel is covered by an ellipse, about 1 inside and 0 outside of it."""
        distance = np.sqrt(((x - across) / half_width) ** 2 + ((y - down) / half_height) ** 2) - 1
        return 0.5 - distance * np.minimum(half_width, half_height) * SIDE / 2

    def stroke(across, down, half_width, thickness, bend, slope=0.0):
        """A line that is bent like a parabola, and leans."""
        along = (x - across) / half_width
        off = np.abs(y - down - bend * along**2 - slope * along) - thickness
        return 0.5 - np.maximum(off, (np.abs(along) - 1) * half_width) * SIDE / 2

    long_hair = between(0, 1) < 0.45
    volume, fringe = between(1.08, 1.25), between(-0.42, -0.2)
    put(shirt, ellipse(0, high + 0.62, 0.85, 0.55))
    put(hair, np.where(long_hair, ellipse(0, 0.12, wide * volume, high * 1.15), -1))
    put(skin * 0.9, ellipse(0, high * 0.95, 0.2, 0.3))
    put(hair, ellipse(0, -0.12, wide * volume, high * 0.95))
    for side in (-1, 1):
        put(skin * 0.92, ellipse(side * wide, 0.05, 0.09, 0.13))
    put(skin, ellipse(0, 0, wide, high))
    parting = between(-0.3, 0.3)
    over = np.minimum(ellipse(0, 0, wide * 1.06, high * 1.06), (fringe - 0.5 * (x - parting) ** 2 - y) * SIDE / 2)
    put(hair, over)
    apart, level, size = wide * between(0.38, 0.5), between(-0.1, 0.02), between(0.1, 0.14)
    look, open_wide = between(-0.3, 0.3), np.where(surprised, 1.15, between(0.6, 0.95))
    lean, raised = np.where(sad, 0.07, np.where(happy, -0.02, 0.0)), np.where(surprised, 0.08, 0.0)
    glasses = np.where(between(0, 1) < 0.2, 1.0, 0.0)
    for side in (-1, 1):
        white = ellipse(side * apart, level, size, size * open_wide)
        put(1.0, white)
        for colour, part in ((iris, 0.55), (0.05, 0.28)):
            put(colour, np.minimum(white, ellipse(side * apart + look * size, level, size * part, size * part)))
        put(hair * 0.7, stroke(side * apart, level - size * 1.35 - raised, size * 1.15, 0.022, 0.05, side * lean))
        rim = 0.5 - np.abs(ellipse(side * apart, level, size * 1.5, size * 1.5) - 0.5)
        put(0.12, glasses * (rim + 0.6))
    put(0.12, glasses * np.where(np.abs(x) < apart - size * 1.45, stroke(0, level, 0.3, 0.012, 0.0), 0))
    put(skin * 0.8, ellipse(0, level + 0.2, 0.045, 0.07))
    mouth, width = high * between(0.52, 0.6), wide * between(0.3, 0.45)
    lips = np.float32([0.72, 0.25, 0.25]) * 0.6 + skin * 0.35
    bend = np.where(happy, between(-0.16, -0.1), np.where(sad, between(0.08, 0.13), between(-0.02, 0.02)))
    smile = np.where(surprised, -1, stroke(0, mouth - bend * 0.5, width, 0.026, bend))
    put(lips, smile)
    put(lips * 0.55, np.where(surprised, ellipse(0, mouth, 0.09, between(0.09, 0.14)), -1))
    blush = np.where(happy, 0.35, 0.0)
    for side in (-1, 1):
        near = ((x - side * apart * 1.25) / 0.12) ** 2 + ((y - 0.22) / 0.09) ** 2
        put(np.float32([0.95, 0.45, 0.4]), blush * np.exp(-near))
    return {"x": np.round(np.clip(picture, 0, 1) * 255).astype("uint8"), "y": mood.astype("int32")}
