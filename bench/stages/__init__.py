"""One measurement for each stage of the pipeline."""
