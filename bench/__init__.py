"""Benchmarks: ratios measured side by side in one run, because machines are noisy; none of them is a test."""
