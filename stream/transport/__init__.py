"""Faust, by chunks: a transport that hands an agent whole runs of records instead of single messages.

Everything stays Faust's: the app, agents, the consumer group and its rebalancing. Different are the
unit of delivery (a `Chunk`), who decides where a partition is read from (the partition's work, never
Faust's committed offset) and that nothing is ever acknowledged on anybody's behalf.
"""
