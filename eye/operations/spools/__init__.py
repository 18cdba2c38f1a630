"""The gateways' spools from outside: their files, events that dead gateways left, and records that Kafka refused."""
