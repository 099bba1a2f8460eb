"""Names of classes that TFDS stores with our data sets."""


def _names(text):
    """The comma-separated names in `text`."""
    return tuple(name.strip() for name in text.split(","))


# The 50 alphabets of Omniglot, sorted.
OMNIGLOT_ALPHABETS = _names("""
    Alphabet_of_the_Magi, Angelic, Anglo-Saxon_Futhorc, Arcadian, Armenian, Asomtavruli_(Georgian),
    Atemayar_Qelisayer, Atlantean, Aurek-Besh, Avesta, Balinese, Bengali,
    Blackfoot_(Canadian_Aboriginal_Syllabics), Braille, Burmese_(Myanmar), Cyrillic, Early_Aramaic, Futurama,
    Ge_ez, Glagolitic, Grantha, Greek, Gujarati, Gurmukhi, Hebrew, Inuktitut_(Canadian_Aboriginal_Syllabics),
    Japanese_(hiragana), Japanese_(katakana), Kannada, Keble, Korean, Latin, Malay_(Jawi_-_Arabic), Malayalam,
    Manipuri, Mkhedruli_(Georgian), Mongolian, N_Ko, Ojibwe_(Canadian_Aboriginal_Syllabics),
    Old_Church_Slavonic_(Cyrillic), Oriya, Sanskrit, Sylheti, Syriac_(Estrangelo), Syriac_(Serto), Tagalog,
    Tengwar, Tibetan, Tifinagh, ULOG
""")

# The 101 classes of Caltech 101 Silhouettes, in the order of the authors' labels 1..101.
CALTECH_SILHOUETTES = _names("""
    Airplanes Side 2, Faces 2, Faces 3, Leopards, Motorbikes 16, accordion, anchor, ant, barrel, bass, beaver,
    binocular, bonsai, brain, brontosaurus, buddha, butterfly, camera, cannon, car side, ceiling fan, cellphone,
    chair, chandelier, cougar body, cougar face, crab, crayfish, crocodile, crocodile head, cup, dalmatian,
    dollar bill, dolphin, dragonfly, electric guitar, elephant, emu, euphonium, ewer, ferry, flamingo,
    flamingo head, garfield, gerenuk, gramophone, grand piano, hawksbill, headphone, hedgehog, helicopter, ibis,
    inline skate, joshua tree, kangaroo, ketch, lamp, laptop, llama, lobster, lotus, mandolin, mayfly, menorah,
    metronome, minaret, nautilus, octopus, okapi, pagoda, panda, pigeon, pizza, platypus, pyramid, revolver, rhino,
    rooster, saxophone, schooner, scissors, scorpion, sea horse, snoopy, soccer ball, stapler, starfish,
    stegosaurus, stop sign, strawberry, sunflower, tick, trilobite, umbrella, watch, water lilly, wheelchair,
    wild cat, windsor chair, wrench, yin yang
""")
