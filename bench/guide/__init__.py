"""The scripts of the guide that this program replaces, as the benchmarks run them."""
