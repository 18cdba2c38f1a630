"""A real Kafka and a real PostgreSQL on this machine, started and ended by us.

For `eye up` and for the tests. Servers listen on 127.0.0.1 alone, keep everything in the data
directory they are given, and never outlive the process that started them.
"""
