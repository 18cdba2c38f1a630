"""The ground of every Kafka client of The Eye: amendments to aiokafka. Imports nothing of The Eye, and never Faust."""
