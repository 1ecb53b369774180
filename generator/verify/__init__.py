"""After deployment: what the machine says and does, held against what was deployed, one verdict a criterion."""
