"""The pipeline's limits on AWS and its monthly cost, computed from the templates' values."""
