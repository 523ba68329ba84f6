"""Pipeline steps: one Kubeflow component per folder, each a thin call into `featrix_core.steps`."""
