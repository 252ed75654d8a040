-- One audit at a time keeps what it found.
lock table consumer_analytics_internal.clean_audits in share row exclusive mode
