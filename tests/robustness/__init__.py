"""What becomes of damaged and hostile files, and of processes that are killed while they write: counted.

    python -m tests.robustness --json benchmarks/results/robustness.json

Cards, weights, images, .npz, TFRecord, MIDI and WAV files are mutated and handed to processes of their own, with limits
of memory and time; so are strangers' folders, which commands read, zips of them, and servers that answer oddly. A harm
is code that runs, a file outside that is read or written, a traceback, a crash, a hang, much memory, half of a model.
Processes that write are killed, at a call to the system or at any moment, and what is in their folders is read.
"""
