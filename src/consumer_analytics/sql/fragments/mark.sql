-- Where a run left the watermark: one that went back to an old instant left it where it was.
coalesce((run.summary ->> 'watermark')::timestamptz, run.reached_at)
