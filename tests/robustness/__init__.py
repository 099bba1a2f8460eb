"""What becomes of damaged and hostile files, and of processes that are killed while they write: counted.

    python -m tests.robustness --json benchmarks/results/robustness.json

Cards, weights, images and .npz files are mutated and handed to processes of their own, with limits of memory and time.
Processes that write are killed, at a call to the system or at any moment, and what is in their folders is read.
"""
