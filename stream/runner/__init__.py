"""Run a stage on its partitions: flow control, work, worker life cycle, status page. Imports no Faust."""
