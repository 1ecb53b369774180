"""Whether a deployment fits and how fast it is: numbers in, numbers out."""
