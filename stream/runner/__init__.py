"""Run a stage on its partitions: reading positions, work, worker life cycle, status page. Imports no Faust."""
