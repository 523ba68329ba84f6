"""The DAGs, their compiled packages and the runner that executes them on one machine."""
