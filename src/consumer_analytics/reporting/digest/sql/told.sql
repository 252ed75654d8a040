-- Whether somebody has been, or is about to be, told already.
select exists (select from consumer_analytics_internal.mails where key = any(%(keys)s))
