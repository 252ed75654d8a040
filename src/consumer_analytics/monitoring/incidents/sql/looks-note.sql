update consumer_analytics_internal.looks_lock
set noted = noted + 1
