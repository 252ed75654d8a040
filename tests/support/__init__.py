"""What tests share: an oracle, histories, and drivers of the real thing."""
