-- A message that the channel took. What it says of recipients it refused is kept.
update consumer_analytics_internal.mails
set
    attempts = attempts + 1,
    sent_at = %(at)s,
    subject = %(subject)s,
    last_error = %(error)s
where mail_id = %(mail_id)s
